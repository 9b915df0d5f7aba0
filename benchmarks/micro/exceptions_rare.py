"""An exception raised and caught at one turn of a hundred."""


class Refused(Exception):
    pass


def check(number):
    if number % 100 == 0:
        raise Refused(number)
    return number


def main(loops):
    total = caught = 0
    for _ in range(loops):
        for number in range(8000):
            try:
                total += check(number)
            except Refused as error:
                caught += error.args[0]
    return total, caught
