def f(text):
    try:
        n = int(text)
    except ValueError:
        return -1
    else:
        return n * 2


print(f("4"), f("four"))
