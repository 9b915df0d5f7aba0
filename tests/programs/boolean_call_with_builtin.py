from functools import partial

c = 1
x = c and int()
x = c and len("ab")
y = c and partial(int, "5")()
z = c and list()
print(x, y, z)
