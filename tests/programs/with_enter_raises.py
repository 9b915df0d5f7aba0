class Bad:
    def __enter__(self):
        raise ValueError("enter")

    def __exit__(self, *error):
        print("never")


try:
    with Bad():
        print("never")
except ValueError as error:
    print(error)
