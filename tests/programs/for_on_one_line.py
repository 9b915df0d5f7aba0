total = 0
for n in range(5): total += n
for n in range(5): pass
for n in (): pass
for n in range(2): total += 1; total += 2
print(total)
