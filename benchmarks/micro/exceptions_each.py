"""An exception raised and caught at each turn."""


class Refused(Exception):
    pass


def check(number):
    raise Refused(number)


def main(loops):
    total = caught = 0
    for _ in range(loops):
        for number in range(2500):
            try:
                total += check(number)
            except Refused as error:
                caught += error.args[0]
    return total, caught
