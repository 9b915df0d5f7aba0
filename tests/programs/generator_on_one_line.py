def f(): yield 1  # 2
def g(): yield 1; yield 2  # 2
def h():  # 1
    try: yield 1  # 2
    except ValueError: yield 2  # 2
    finally: print("finally")  # 2


print(list(f()), list(g()))  # 1
a = h()  # 1
print(next(a), a.throw(ValueError))  # 1
a.close()  # 1
b = h()  # 1
next(b)  # 1
del b  # 1
