def f():
    try:
        raise ValueError("a")
    except ValueError as error:
        error.add_note("a note")
        try:
            raise KeyError("b") from error
        except KeyError as other:
            try:
                raise other.__cause__
            except ValueError as again:
                return again is error, again.__notes__, type(again.__context__).__name__


print(f())
