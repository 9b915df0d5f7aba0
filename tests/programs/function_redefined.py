def f():
    return 1


print(f())


def f():
    return 2


print(f())
if f() == 2:
    def f():
        return 3
else:
    def f():
        return 4
print(f())
