def f(text):
    try:
        n = int(text)
        n += 1
    except ValueError:
        n = 0
    return n


print(f("1"), f("x"), f("2"))
