class A:
    def __init__(self):
        self.log = ["A"]

    def who(self):
        return "A"


class B(A):
    def __init__(self):
        super().__init__()
        self.log.append("B")

    def who(self):
        return super().who() + "B"


class C(A):
    def who(self):
        return super(C, self).who() + "C"


class D(B, C):
    def who(self):
        return super().who() + "D"


print(D().log, D().who())
