a = 1  # 1
b = a + 1  # 1
print(a, b)  # 1
