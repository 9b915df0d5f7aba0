def passes(n):
    for i in range(n):
        pass
    else:
        pass
    for i in range(n): pass


def goes_on(n):
    found = []
    while n:
        if n % 3 == 0:
            n -= 1
            continue
        if n == 5:
            pass
        else:
            found.append(n)
        n -= 1
    return found


def on_one_line(n):
    while n: n -= 1
    return [x for x in range(5) if x % 2], [
        (x, y)
        for x in range(4)
        for y in range(x) if y != 1
    ]


def raises(n):
    for i in range(n):
        try:
            {}[i]
        except KeyError:
            pass
    for i in range(n):
        try: {}[i]
        except KeyError: pass


passes(9)
print(goes_on(11), on_one_line(9))
raises(9)
