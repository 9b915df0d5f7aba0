def f():  # 1
    try:  # 1
        yield 1  # 1
        yield 2
    finally:
        print("cleanup")  # 1


g = f()  # 1
print(next(g))  # 1
g.close()  # 1
g.close()  # 1
print(list(g))  # 1
