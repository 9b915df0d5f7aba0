source = """
def f(n):
    return n + 1
"""
namespace = {}
exec(source, namespace)
print(namespace["f"](1))
exec("y = 2", {}, namespace)
print(namespace["y"], sorted(name for name in namespace if name != "__builtins__"))
