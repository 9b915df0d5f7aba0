x = 5  # 1
while x: x -= 1  # 5, from 3.14: 6
print(x)  # 1
while x < 3: x += 1; y = x  # 3, from 3.14: 4
print(x, y)  # 1
