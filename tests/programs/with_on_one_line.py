class Manager:  # 2
    def __enter__(self): return 1  # 5
    def __exit__(self, *error): return True  # 5


def fail():  # 1
    raise ValueError  # 1


with Manager(): pass  # 1
with Manager() as n: n += 1  # 1
with Manager(): fail()  # 1, from 3.12: 2, from 3.13: 1
with Manager(): int("x")  # 1
print(n)  # 1
