class Box:
    n = 1


n = 1
n += 2
n *= 3
items = [1]
items += [2]
items[0] += 5
Box.n -= 4
n //= 2
n **= (
    2
)
print(n, items, Box.n)
