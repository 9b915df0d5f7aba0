a = 0  # 1
found = []  # 1
while a < 4:  # 5
    b = 0  # 4
    while b < 4:  # 17
        if a * b == 6:  # 15
            found.append((a, b))  # 2
            break  # 2
        b += 1  # 13
    else:
        found.append(a)  # 2
    a += 1  # 4
print(found)  # 1
