a = b = c = 1
items = [1, 2, 3]
table = {"k": 1}


class O:
    attribute = 1


o = O()
o.x = 1
del a
del b, c
del items[0], table["k"]
del items[:]
del o.x
del (
    items,
    table,
)
try:
    a
except NameError as error:
    print(error)


def f(flag):
    local = 1
    if flag:
        del local
    return local


print(f(0))
try:
    f(1)
except UnboundLocalError:
    print("unbound")
