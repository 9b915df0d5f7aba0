import marshal
import types


def f(n):
    return n + 1


again = types.FunctionType(marshal.loads(marshal.dumps(f.__code__)), globals())
print(again(1), f(2))
