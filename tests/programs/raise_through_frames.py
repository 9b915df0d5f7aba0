def a(n):  # 1
    return b(n) + 1  # 2


def b(n):  # 1
    return c(n) + 1  # 2


def c(n):  # 1
    return 10 // n  # 2


print(a(1))  # 1
try:  # 1
    a(0)  # 1
except ZeroDivisionError as error:  # 1
    place, lines = error.__traceback__, []  # 1
    while place:  # 5
        lines.append(place.tb_lineno)  # 4
        place = place.tb_next  # 4
    print(lines)  # 1
