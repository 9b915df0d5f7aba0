n = 0  # 1
odd = []  # 1
while n < 6:  # 7
    n += 1  # 6
    if n % 2 == 0:  # 6
        continue  # 3
    odd.append(n)  # 3
print(odd)  # 1
