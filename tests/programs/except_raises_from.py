def f():
    try:
        int("x")
    except ValueError as error:
        raise RuntimeError("wrapped") from error


try:
    f()
except RuntimeError as error:
    print(repr(error.__cause__))
