class Manager:
    def __init__(self, name):
        self.name = name

    def __enter__(self):
        print("enter", self.name)
        return self.name

    def __exit__(self, *error):
        print("exit", self.name)


with Manager("a") as a, Manager("b") as b:
    print(a, b)
