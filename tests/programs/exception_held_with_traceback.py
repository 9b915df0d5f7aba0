held = []


def f(n):
    local = [n]
    try:
        return 1 / n
    except ZeroDivisionError as error:
        held.append(error)
        raise


for n in (1, 0):
    try:
        f(n)
    except ZeroDivisionError:
        pass
frame = held[0].__traceback__.tb_next.tb_frame
print(frame.f_locals["local"], frame.f_lineno, held[0].__traceback__.tb_lineno)
try:
    raise held[0]
except ZeroDivisionError as error:
    place, lines = error.__traceback__, []
    while place:
        lines.append(place.tb_lineno)
        place = place.tb_next
    print(lines)
