def f():
    try:
        raise ValueError("outer")
    except ValueError:
        try:
            raise KeyError("inner")
        except KeyError as error:
            return type(error.__context__).__name__


print(f())
