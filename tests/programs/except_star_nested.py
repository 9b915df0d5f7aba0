def f():
    try:
        try:
            raise ExceptionGroup("outer", [ExceptionGroup("inner", [KeyError(1)]), OSError(2), TypeError(3)])
        except* KeyError as keys:
            print(keys)
            raise ValueError("from keys")
        except* OSError:
            print("system")
    except* (ValueError, TypeError) as rest:
        print(len(rest.exceptions))


f()
