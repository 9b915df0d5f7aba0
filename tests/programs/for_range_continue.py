kept = []  # 1
for n in range(10):  # 11
    if n % 3:  # 10
        continue  # 6
    kept.append(n)  # 4
print(kept)  # 1
