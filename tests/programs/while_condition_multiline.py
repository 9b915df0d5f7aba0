n = 0  # 1
m = 9  # 1
while (
    n < 5  # 5
    and m > 5  # 5
):
    n += 1  # 4
    m -= 1  # 4
print(n, m)  # 1
