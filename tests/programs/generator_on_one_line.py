def f(): yield 1
def g(): yield 1; yield 2
def h():
    try: yield 1
    except ValueError: yield 2
    finally: print("finally")


print(list(f()), list(g()))
a = h()
print(next(a), a.throw(ValueError))
a.close()
b = h()
next(b)
del b
