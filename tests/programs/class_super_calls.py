class A:  # 2
    def __init__(self):  # 1
        self.log = ["A"]  # 2

    def who(self):  # 1
        return "A"  # 1


class B(A):  # 2
    def __init__(self):  # 1
        super().__init__()  # 2
        self.log.append("B")  # 2

    def who(self):  # 1
        return super().who() + "B"  # 1


class C(A):  # 2
    def who(self):  # 1
        return super(C, self).who() + "C"  # 1


class D(B, C):  # 2
    def who(self):  # 1
        return super().who() + "D"  # 1


print(D().log, D().who())  # 1
