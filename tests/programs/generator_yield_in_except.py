def f():
    for n in range(3):
        try:
            1 / (n - 1)
        except ZeroDivisionError:
            yield "zero"
        else:
            yield n


print(list(f()))
