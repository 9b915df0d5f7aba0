if (n := len("abc")) > 2:  # 1
    print(n)  # 1
print((a := 1) + (b := 2), a, b)  # 1


def f(text):  # 1
    if (found := text.find("x")) >= 0 and (  # 3, from 3.12: 2
        rest := text[found:]  # 1
    ):
        return rest  # 1
    return None  # 1


print(f("axb"), f("ab"))  # 1
