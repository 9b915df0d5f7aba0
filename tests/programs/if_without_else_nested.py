hits = 0
for a in range(3):
    for b in range(3):
        if a != b:
            if a > b:
                hits += 1
print(hits)
