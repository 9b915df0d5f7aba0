class C:
    count = 0

    def __init__(self):
        C.count += 1

    @staticmethod
    def static(n):
        return n * 2

    @classmethod
    def make(cls):
        return cls()


C.make()
C().make()
print(C.count, C.static(4), C().static(5))
