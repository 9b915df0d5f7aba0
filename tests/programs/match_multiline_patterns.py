def f(value):
    match value:
        case (
            1
            | 2
        ):
            return "low"
        case [
            a,
            b,
        ] if (
            a
            < b
        ):
            return "rising"
        case {
            "a": 1,
            "b": 2,
        }:
            return "mapping"
    return None


print(f(2), f([1, 2]), f([2, 1]), f({"a": 1, "b": 2}))
