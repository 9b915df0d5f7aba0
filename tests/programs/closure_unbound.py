def f():
    def g():
        return later
    try:
        g()
    except NameError as error:
        print(error)
    later = 1
    return g()


print(f())
