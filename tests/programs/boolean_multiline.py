def check(a, b, c):
    return (
        a
        and b
        or c
    )


def check_calls(a, b):
    if (
        len(a) > 1
        and len(b) > 1
        or not a
    ):
        return True
    return False


print(check(1, 0, 3), check(1, 2, 3), check(0, 0, 0))
print(check_calls("", ""), check_calls("ab", "cd"), check_calls("a", "b"))
