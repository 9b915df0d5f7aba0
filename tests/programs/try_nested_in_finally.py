def f(n):
    try:
        1 / n
    finally:
        try:
            {}[n]
        except KeyError:
            print("key", n)
    return n


print(f(1))
try:
    f(0)
except ZeroDivisionError:
    print("division")
