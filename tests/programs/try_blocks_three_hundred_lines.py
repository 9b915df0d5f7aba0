def f(n):
    log = []
    try:
        log.append(10 // (n - 0))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 1))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 2))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 3))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 4))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 5))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 6))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 7))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 8))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 9))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 10))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 11))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 12))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 13))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 14))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 15))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 16))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 17))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 18))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 19))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 20))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 21))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 22))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 23))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 24))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 25))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 26))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 27))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 28))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 29))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 30))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 31))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 32))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 33))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 34))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 35))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 36))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 37))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 38))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 39))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 40))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 41))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 42))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 43))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 44))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 45))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 46))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 47))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 48))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 49))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 50))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 51))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 52))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 53))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 54))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 55))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 56))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 57))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 58))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    try:
        log.append(10 // (n - 59))
    except ZeroDivisionError:
        log.append('zero')
    finally:
        n += 0
    return len(log), log.count('zero')


print(f(5), f(100))
