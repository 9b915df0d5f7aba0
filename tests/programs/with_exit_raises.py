class Bad:
    def __enter__(self):
        return self

    def __exit__(self, kind, error, place):
        raise KeyError("exit") from error


for n in (0, 1):
    try:
        with Bad():
            1 / n
    except KeyError as error:
        print(error, error.__cause__)
