"""Three loops in one another, with a break and a continue: short inner loops, many entries and exits."""


def main(loops):
    found = 0
    for _ in range(loops):
        for first in range(1, 40):
            for second in range(first, 40):
                if (first + second) % 3 == 0:
                    continue
                for third in range(second, 60):
                    square = first * first + second * second
                    if third * third > square:
                        break
                    if third * third == square:
                        found += 1
    return found
