import threading


class Context(threading.local):
    def __init__(self):
        self.value = 0


def f(n):
    context.value += n
    results.append(context.value)


context, results = Context(), []
for n in (1, 2):
    thread = threading.Thread(target=f, args=(n,))
    thread.start()
    thread.join()
f(5)
print(results)
