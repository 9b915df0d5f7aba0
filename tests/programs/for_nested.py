table = []  # 1
for row in range(3):  # 4
    for column in range(4):  # 15
        table.append(row * column)  # 12
print(sum(table))  # 1
