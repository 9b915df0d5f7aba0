def f():
    for n in range(3):
        try:
            1 / 0
        finally:
            break
    return n


print(f())
