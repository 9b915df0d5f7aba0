class Manager:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        print("exit")


def f(n):
    with Manager():
        if n:
            return "early"
        n = 5
    return n


print(f(1), f(0))
