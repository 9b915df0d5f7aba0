a = 1
if a: b = 2
if not a: b = 3
if a: b = 4; c = 5
else: c = 6
print(a, b, c)
