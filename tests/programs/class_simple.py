class A:  # 2
    x = 1  # 1

    def method(self):  # 1
        return self.x  # 2


a = A()  # 1
print(a.method(), A.method(a))  # 1
