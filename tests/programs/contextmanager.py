from contextlib import contextmanager


@contextmanager
def tag(name):
    print("<", name)
    try:
        yield name.upper()
    except ValueError:
        print("swallowed")
    finally:
        print(">", name)


with tag("a") as upper:
    print(upper)
with tag("b"):
    raise ValueError
try:
    with tag("c"):
        raise KeyError
except KeyError:
    print("passed")


@tag("d")
def decorated():
    print("in")


decorated()
decorated()
