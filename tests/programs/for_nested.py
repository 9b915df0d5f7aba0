table = []
for row in range(3):
    for column in range(4):
        table.append(row * column)
print(sum(table))
