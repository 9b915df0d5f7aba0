def f():  # 1
    try:  # 1
        try:  # 1
            raise ExceptionGroup("outer", [ExceptionGroup("inner", [KeyError(1)]), OSError(2), TypeError(3)])  # 1
        except* KeyError as keys:  # 1
            print(keys)  # 1
            raise ValueError("from keys")  # 1
        except* OSError:  # 1
            print("system")  # 1
    except* (ValueError, TypeError) as rest:  # 2, from 3.12: 1
        print(len(rest.exceptions))  # 1


f()  # 1
