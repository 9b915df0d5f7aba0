class Lock:
    def __enter__(self):
        print("lock")

    def __exit__(self, *error):
        print("unlock")


def f():
    for n in range(2):
        with Lock():
            yield n


for n in f():
    print(n)
for n in f():
    break
