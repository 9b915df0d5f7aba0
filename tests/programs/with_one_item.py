class Manager:  # 2
    def __enter__(self):  # 1
        print("enter")  # 1
        return self  # 1

    def __exit__(self, *error):  # 1
        print("exit", error[0])  # 1


with Manager() as manager:  # 2
    print("body")  # 1
print("after")  # 1
