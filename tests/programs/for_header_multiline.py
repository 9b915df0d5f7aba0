total = 0  # 1
for a, b in zip(  # 5
    [1, 2, 3],  # 1
    [4, 5, 6],  # 1
):
    total += a * b  # 3
for n in [  # 3
    total,  # 1
    total + 1,  # 1
]:
    print(n)  # 2
