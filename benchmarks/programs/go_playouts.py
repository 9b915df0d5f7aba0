"""Random games of Go on a small board: flood fill, captures, sets and lists of neighbours."""

LOOPS = 67

SIZE = 9
EMPTY, BLACK, WHITE = range(3)


def neighbours_of(place):
    row, column = divmod(place, SIZE)
    found = []
    if row:
        found.append(place - SIZE)
    if row < SIZE - 1:
        found.append(place + SIZE)
    if column:
        found.append(place - 1)
    if column < SIZE - 1:
        found.append(place + 1)
    return found


NEIGHBOURS = [neighbours_of(place) for place in range(SIZE * SIZE)]


class Board:
    def __init__(self):
        self.stones = [EMPTY] * (SIZE * SIZE)
        self.captured = [0, 0, 0]

    def group(self, place):
        """Return the stones joined to *place*, and whether any of them has a liberty."""
        colour = self.stones[place]
        seen = {place}
        todo = [place]
        while todo:
            for other in NEIGHBOURS[todo.pop()]:
                stone = self.stones[other]
                if stone == EMPTY:
                    return seen, True
                if stone == colour and other not in seen:
                    seen.add(other)
                    todo.append(other)
        return seen, False

    def is_eye(self, place, colour):
        return all(self.stones[other] == colour for other in NEIGHBOURS[place])

    def play(self, place, colour):
        """Put a stone down, take what it captures; take it back and say no if it were suicide."""
        self.stones[place] = colour
        captures = False
        for other in NEIGHBOURS[place]:
            if self.stones[other] not in (EMPTY, colour):
                stones, alive = self.group(other)
                if not alive:
                    captures = True
                    for stone in stones:
                        self.stones[stone] = EMPTY
                    self.captured[colour] += len(stones)
        if not captures and not self.group(place)[1]:
            self.stones[place] = EMPTY
            return False
        return True

    def score(self):
        return self.stones.count(BLACK) - self.stones.count(WHITE) + self.captured[BLACK] - self.captured[WHITE]


def playout(seed):
    board = Board()
    colour = BLACK
    passes = moves = 0
    while passes < 2 and moves < 160:
        candidates = [place for place, stone in enumerate(board.stones) if stone == EMPTY]
        passes += 1
        while candidates:
            seed = (seed * 6364136223846793005 + 1442695040888963407) % 2 ** 64
            index = (seed >> 33) % len(candidates)
            place = candidates[index]
            candidates[index] = candidates[-1]
            candidates.pop()
            if not board.is_eye(place, colour) and board.play(place, colour):
                passes = 0
                break
        moves += 1
        colour = BLACK + WHITE - colour
    return board.score(), seed


def main(loops):
    total, seed = 0, 1
    for _ in range(loops):
        for _ in range(5):
            score, seed = playout(seed)
            total = total * 3 % 1_000_003 + score
    return total
