def f():  # 1
    try:  # 1
        raise ValueError("first")  # 1
    finally:
        raise KeyError("second")  # 1


try:  # 1
    f()  # 1
except KeyError as error:  # 1
    print(error, repr(error.__context__))  # 1
