def f(n):
    if n == 0:
        raise ValueError("the end")
    f(n - 1)


print("start")
f(2)
print("unreached")
