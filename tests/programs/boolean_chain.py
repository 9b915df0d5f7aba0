def yes(n):
    return n


def no(n):
    return 0


print(yes(1) and no(2) or yes(3))
print(no(1) or no(2) or yes(3) and yes(4))
a = not yes(1)
b = no(1) and yes(2)
c = yes(1) and yes(2)
d = yes(0) or no(1)
print(a, b, c, d)
