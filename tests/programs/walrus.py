if (n := len("abc")) > 2:
    print(n)
print((a := 1) + (b := 2), a, b)


def f(text):
    if (found := text.find("x")) >= 0 and (
        rest := text[found:]
    ):
        return rest
    return None


print(f("axb"), f("ab"))
