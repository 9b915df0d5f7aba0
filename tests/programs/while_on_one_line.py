x = 5
while x: x -= 1
print(x)
while x < 3: x += 1; y = x
print(x, y)
