def f(values):
    values = list(values)
    while values:
        try:
            value = values.pop()
            1 / value
        except ZeroDivisionError:
            break
        else:
            if value < 0:
                continue
        finally:
            log.append(value)
    else:
        log.append("else")


log = []
f([1, 2])
f([1, 0, 2])
f([-1, 5])
print(log)
