def f(a): return a + 1  # 3
def g(): pass  # 2
def h(a): a += 1; return a  # 2
class C: pass  # 2
class D: x = 1; y = 2  # 2
print(f(1), f(2), g(), h(3), D.y)  # 1
