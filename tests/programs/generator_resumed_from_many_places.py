def ticks():
    n = 0
    while True:
        n += 1
        yield n


clock = ticks()


def here():
    return next(clock)


def there():
    for tick in clock:
        return tick


print(here(), there(), next(clock), here())
clock.close()
