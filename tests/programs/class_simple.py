class A:
    x = 1

    def method(self):
        return self.x


a = A()
print(a.method(), A.method(a))
