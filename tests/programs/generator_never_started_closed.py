def f():  # 1
    print("never")
    yield 1


f().close()  # 1
g = f()  # 1
g.close()  # 1
print(list(g))  # 1
del g  # 1
f()  # 1
print("end")  # 1
