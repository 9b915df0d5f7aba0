"""A while loop with arithmetic: the loop test is a line of its own, run once more than the body."""


def main(loops):
    value = 1
    for _ in range(loops):
        turn = 0
        while turn < 8_000:
            value = (value * 1_103_515_245 + 12_345) % 2_147_483_648
            turn += 1
    return value
