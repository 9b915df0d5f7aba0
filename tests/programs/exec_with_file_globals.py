source = """
def f(n):
    if n:
        return 1
    return 2
print(f(0), f(1))
"""
exec(source, {"__file__": __file__})
exec(compile(source, "made_up.py", "exec"), {"__file__": "made_up.py"})
exec(compile("for n in range(3):\n    n += 1\n", __file__ + ".generated", "exec"))
exec("x = 1")
print(x)
