class Trouble(Exception):
    pass


def f(n):
    raise Trouble(
        "much",
        n,
    )


for n in range(2):
    try:
        f(n)
    except Trouble as error:
        print(error)
