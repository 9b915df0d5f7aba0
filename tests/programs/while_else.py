n = 0  # 1
while n < 3:  # 4
    n += 1  # 3
else:
    done = True  # 1
print(n, done)  # 1
