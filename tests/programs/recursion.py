def factorial(n):  # 1
    if n < 2:  # 10
        return 1  # 1
    return n * factorial(n - 1)  # 9


def fib(n):  # 1
    return n if n < 2 else fib(n - 1) + fib(n - 2)  # 177


print(factorial(10), fib(10))  # 1
