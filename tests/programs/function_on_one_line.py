def f(a): return a + 1
def g(): pass
def h(a): a += 1; return a
class C: pass
class D: x = 1; y = 2
print(f(1), f(2), g(), h(3), D.y)
