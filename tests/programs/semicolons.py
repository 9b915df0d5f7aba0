a = 1; b = 2; c = a + b
print(a); print(b); print(c)
for n in range(2): a += n; b += n
if a: c = 1; c += 1
def f(): x = 1; y = 2; return x + y
print(a, b, c, f(), f())
