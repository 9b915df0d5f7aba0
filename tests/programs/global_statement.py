total = 0


def add(n):
    global total, created
    total += n
    created = n


add(2)
add(3)
print(total, created)
