def f():
    try:
        {}["key"]
    except KeyError as error:
        raise ValueError("no key") from error


try:
    f()
finally:
    print("finally")
