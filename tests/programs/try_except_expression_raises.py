def kinds():
    raise RuntimeError("no kinds")


try:
    try:
        1 / 0
    except kinds():
        print("unreached")
except RuntimeError as error:
    print(error, type(error.__context__).__name__)
