def f(n):
    try:
        if n == 1:
            return "one"
        if n == 2:
            return "two"
    finally:
        print("leaving", n)
    return "many"


print(f(1), f(2), f(3))
