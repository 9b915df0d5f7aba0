a = compile("x = 1\ny = 2\n", "<string>", "exec")
b = "z = 3"


def f(n):
    exec(a if n else b)


def g(n):
    value = eval("1 + 1" if n else "2 + 2")
    return value


f(0)
f(1)
print(g(0), g(1), eval("3" if a else "4"))
