class Manager:
    def __enter__(self):
        print("enter")
        return self

    def __exit__(self, *error):
        print("exit", error[0])


with Manager() as manager:
    print("body")
print("after")
