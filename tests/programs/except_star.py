def f(group):
    try:
        raise group
    except* ValueError as error:
        print("values", len(error.exceptions))
    except* KeyError:
        print("keys")
    else:
        print("else")
    finally:
        print("finally")


f(ExceptionGroup("g", [ValueError(1), KeyError(2), ValueError(3)]))
f(ValueError(4))
try:
    f(ExceptionGroup("g", [TypeError(1), KeyError(2)]))
except ExceptionGroup as rest:
    print(rest.exceptions)
