total = 0
for a, b in zip(
    [1, 2, 3],
    [4, 5, 6],
):
    total += a * b
for n in [
    total,
    total + 1,
]:
    print(n)
