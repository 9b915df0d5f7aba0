class Yes:
    def __call__(self):
        return True


yes = Yes()
a = 1
b = a and yes()
c = yes() and a
d = yes() or a
print(b, c, d)
