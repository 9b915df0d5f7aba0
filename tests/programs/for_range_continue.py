kept = []
for n in range(10):
    if n % 3:
        continue
    kept.append(n)
print(kept)
