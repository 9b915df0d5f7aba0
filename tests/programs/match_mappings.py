def f(value):
    match value:
        case {"type": "point", "x": x, "y": y}:
            return x + y
        case {"type": kind, **rest} if rest:
            return kind, rest
        case {"nested": {"deep": [_, second]}}:
            return second
        case {}:
            return "mapping"


print(f({"type": "point", "x": 1, "y": 2}))
print(f({"type": "line", "n": 1}), f({"type": "dot"}), f({"nested": {"deep": [1, 2]}}), f(5))
