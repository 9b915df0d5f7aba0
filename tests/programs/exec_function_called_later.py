source = """def f(n):
    for i in range(n):
        yield i

class C:
    def method(self):
        return list(f(3))
"""
namespace = {"__file__": "later.py", "__name__": "later"}
exec(compile(source, "later.py", "exec"), namespace)
print(namespace["C"]().method())
