def f():
    try:
        yield 1
        yield 2
    finally:
        print("too late to be seen")


kept = f()
print(next(kept))
