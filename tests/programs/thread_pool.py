from concurrent.futures import ThreadPoolExecutor


def work(n):
    if n == 3:
        raise ValueError(n)
    return n * n


with ThreadPoolExecutor(1) as pool:
    futures = [pool.submit(work, n) for n in range(5)]
for future in futures:
    try:
        print(future.result())
    except ValueError as error:
        print("failed", error)
