total = 0  # 1
for n in range(5): total += n  # 6
for n in range(5): pass  # 6
for n in (): pass  # 1
for n in range(2): total += 1; total += 2  # 3
print(total)  # 1
