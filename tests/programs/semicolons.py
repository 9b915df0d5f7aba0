a = 1; b = 2; c = a + b  # 1
print(a); print(b); print(c)  # 1
for n in range(2): a += n; b += n  # 3
if a: c = 1; c += 1  # 1
def f(): x = 1; y = 2; return x + y  # 3
print(a, b, c, f(), f())  # 1
