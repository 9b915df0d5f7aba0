import threading


def count(n):
    total = 0
    for i in range(n):
        total += i
    totals.append(total)


totals = []
threads = [threading.Thread(target=count, args=(100 * n,)) for n in range(1, 5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(sorted(totals))
