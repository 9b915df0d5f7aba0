class Manager:  # 2
    def __init__(self, name):  # 1
        self.name = name  # 2

    def __enter__(self):  # 1
        print("enter", self.name)  # 2
        return self.name  # 2

    def __exit__(self, *error):  # 1
        print("exit", self.name)  # 2


with Manager("a") as a, Manager("b") as b:  # 2
    print(a, b)  # 1
