def f():
    count = 0
    for n in range(4):
        try:
            if n % 2:
                raise ExceptionGroup("odd", [ValueError(n)])
        except* ValueError as group:
            count += group.exceptions[0].args[0]
    return count


print(f())
