n = 0
m = 9
while (
    n < 5
    and m > 5
):
    n += 1
    m -= 1
print(n, m)
