def f(n):
    try:
        if n:
            raise ValueError(n)
        return "try"
    finally:
        return "finally"


print(f(0), f(1))
