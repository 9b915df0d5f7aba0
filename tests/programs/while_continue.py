n = 0
odd = []
while n < 6:
    n += 1
    if n % 2 == 0:
        continue
    odd.append(n)
print(odd)
