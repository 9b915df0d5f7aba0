hits = 0  # 1
for a in range(3):  # 4
    for b in range(3):  # 12
        if a != b:  # 9
            if a > b:  # 6
                hits += 1  # 3
print(hits)  # 1
