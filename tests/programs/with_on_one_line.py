class Manager:
    def __enter__(self): return 1
    def __exit__(self, *error): return True


def fail():
    raise ValueError


with Manager(): pass
with Manager() as n: n += 1
with Manager(): fail()
with Manager(): int("x")
print(n)
