"""Handlers on the line that raises, more than 127 lines below the start of their code: 3.13.0 sees these differently."""


class Guard:
    def __enter__(self):
        return self

    def __exit__(self, *exception):
        return False


def far(turn):
    """Go far down first."""























































































































































    try:
        with Guard(): turn.upper()
    except AttributeError:
        turn += 1
    while turn < 5:
        try:
            with Guard() as a, Guard(): turn / (turn - 3)
            turn += 1
        except ZeroDivisionError: turn += 1
    try: turn.upper()
    except KeyError: pass
    except AttributeError: turn += 1
    return [turn for turn in range(turn) if turn] and turn


def far_generator(turn):
    """Go far down first."""























































































































































    try:
        with Guard(): yield turn
        turn += 1
    finally: turn += 1


for turn in range(3):
    print(far(turn), list(far_generator(turn)))
    generator = far_generator(turn)
    next(generator)
    try:
        generator.throw(KeyError)
    except KeyError:
        print("thrown")
