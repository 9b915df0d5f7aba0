def f(value):
    match value:
        case []:
            return "empty"
        case [one]:
            return one
        case [first, *rest, last] if first == last:
            return rest
        case [1, 2, *_]:
            return "one two"
        case (a, (b, c)):
            return a + b + c
    return "no match"


print([f(value) for value in ([], [5], [1, 9, 1], [1, 2, 3], (1, (3, 4)), "ab", 7)])
