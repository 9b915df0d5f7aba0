def f():  # 1
    try:  # 1
        int("x")  # 1
    except ValueError:  # 1
        print("seen")  # 1
        raise  # 1


try:  # 1
    f()  # 1
except ValueError:  # 1
    print("again")  # 1
try:  # 1
    raise  # 1
except RuntimeError as error:  # 1
    print(error)  # 1
