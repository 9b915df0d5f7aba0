class M:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False


def f(n):
    with M():
        with M():
            with M():
                with M():
                    with M():
                        with M():
                            with M():
                                with M():
                                    with M():
                                        with M():
                                            return 1 / n


print(f(1))
try:
    f(0)
except ZeroDivisionError:
    print('out')
