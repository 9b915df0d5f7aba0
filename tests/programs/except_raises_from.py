def f():  # 1
    try:  # 1
        int("x")  # 1
    except ValueError as error:  # 1
        raise RuntimeError("wrapped") from error  # 1


try:  # 1
    f()  # 1
except RuntimeError as error:  # 1
    print(repr(error.__cause__))  # 1
