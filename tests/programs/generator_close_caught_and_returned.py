def f():
    try:
        yield 1
    except GeneratorExit:
        print("closing")
        return


g = f()
next(g)
g.close()
print("closed")
