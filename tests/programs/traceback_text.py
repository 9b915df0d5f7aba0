import traceback


def a():
    b()


def b():
    raise ValueError(
        "deep",
    )


def c():
    try:
        a()
    except ValueError:
        raise KeyError("other")


try:
    c()
except KeyError:
    text = traceback.format_exc()
    print(text.replace(__file__, "program.py"))
