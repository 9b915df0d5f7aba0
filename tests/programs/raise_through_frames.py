def a(n):
    return b(n) + 1


def b(n):
    return c(n) + 1


def c(n):
    return 10 // n


print(a(1))
try:
    a(0)
except ZeroDivisionError as error:
    place, lines = error.__traceback__, []
    while place:
        lines.append(place.tb_lineno)
        place = place.tb_next
    print(lines)
