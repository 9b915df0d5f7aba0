import types


def f(n):
    total = 0
    for m in range(n):
        total += m
    return total


code = f.__code__
renamed = types.FunctionType(code.replace(co_filename="renamed.py"), globals())
moved = types.FunctionType(code.replace(co_firstlineno=100, co_name="moved", co_qualname="moved"), globals())
print(f(3), renamed(4), moved(5), renamed.__code__.co_filename, moved.__name__)
exec(compile("x = 1\n", "made.py", "exec").replace(co_filename="given.py"))
