n = 0  # 1
while True:  # 4
    n += 1  # 4
    if n == 4:  # 4
        break  # 1
print(n)  # 1
