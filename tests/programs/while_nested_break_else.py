a = 0
found = []
while a < 4:
    b = 0
    while b < 4:
        if a * b == 6:
            found.append((a, b))
            break
        b += 1
    else:
        found.append(a)
    a += 1
print(found)
