def f(group):  # 1
    try:  # 3
        raise group  # 3
    except* ValueError as error:  # 3
        print("values", len(error.exceptions))  # 2
    except* KeyError:  # 3
        print("keys")  # 2
    else:
        print("else")
    finally:
        print("finally")  # 3


f(ExceptionGroup("g", [ValueError(1), KeyError(2), ValueError(3)]))  # 1
f(ValueError(4))  # 1
try:  # 1
    f(ExceptionGroup("g", [TypeError(1), KeyError(2)]))  # 1
except ExceptionGroup as rest:  # 1
    print(rest.exceptions)  # 1
