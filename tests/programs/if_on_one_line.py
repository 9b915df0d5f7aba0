a = 1  # 1
if a: b = 2  # 1
if not a: b = 3  # 1
if a: b = 4; c = 5  # 1
else: c = 6
print(a, b, c)  # 1
