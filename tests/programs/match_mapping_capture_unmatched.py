def f(value):
    match value:
        case {"a": x, **rest} if rest:
            return x, rest
        case {"a": x} if x:
            return x
    return "none"


print(f({"a": 1, "b": 2}), f({"a": 3}), f({"a": 0}), f(5))
match 0:
    case {0: a, **b} if a:
        pass
print("end")
try:
    match 0:
        case {0: a, **b} if a:
            pass
    0(0)
except TypeError:
    print("TypeError")
