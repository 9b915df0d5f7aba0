"""A variable without a value, loaded right behind another instruction: tracebacks name the line and the column."""

import sys


def report(function, *arguments):
    try:
        for _ in function(*arguments):
            pass
    except UnboundLocalError:
        traceback = sys.exc_info()[2].tb_next
        while traceback:
            code = traceback.tb_frame.f_code
            places = list(code.co_positions())[traceback.tb_lasti // 2]
            print(code.co_name, traceback.tb_lineno, places[0] - code.co_firstlineno, places[2:])
            traceback = traceback.tb_next


def behind_a_handler(fuel):
    try:
        while fuel: fuel -= 1
        raise ValueError
    except Exception as error:
        del fuel
    try:
        yield 1
        raise ValueError
    except Exception as error:
        return fuel


def behind_a_store(n):
    for x in range(n):
        y = x
    other = n
    if not n:
        z = 1
    other = n
    z
    yield other


def behind_a_load(n):
    while n:
        n -= 1
    if n:
        z = 1
    other = [n,
             z]
    yield other


def behind_a_constant(n):
    while n: n -= 1
    if n: z = 1
    yield (1,
           z, n)


def in_one_line(n):
    while n: n -= 1
    if n: z = 1
    yield n, z


def in_a_loop(n):
    for x in range(n):
        if x > n:
            z = x
        y = x
        if y == 2: y = x; z
    yield 0


for function in (behind_a_handler, behind_a_store, behind_a_load, behind_a_constant, in_one_line, in_a_loop):
    for fuel in (1, 30, 0, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3):
        report(function, fuel)
