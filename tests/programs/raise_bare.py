def f():
    try:
        int("x")
    except ValueError:
        print("seen")
        raise


try:
    f()
except ValueError:
    print("again")
try:
    raise
except RuntimeError as error:
    print(error)
