class Manager:  # 2
    def __enter__(self):  # 1
        return self  # 2

    def __exit__(self, *error):  # 1
        print("exit")  # 2


def f(n):  # 1
    with Manager():  # 4
        if n:  # 2
            return "early"  # 1
        n = 5  # 1
    return n  # 1


print(f(1), f(0))  # 1
