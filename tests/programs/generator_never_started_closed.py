def f():
    print("never")
    yield 1


f().close()
g = f()
g.close()
print(list(g))
del g
f()
print("end")
