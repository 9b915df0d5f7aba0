class Manager:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        print("exit")


def f(n):
    try:
        with Manager():
            return 1 / n
    except ZeroDivisionError:
        print("except")
    finally:
        print("finally")


print(f(1), f(0))
