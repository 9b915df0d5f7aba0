"""Sudoku by constraint propagation and depth-first search: dicts of strings, recursion, early returns."""

LOOPS = 71

ROWS, COLUMNS = "ABCDEFGHI", "123456789"
SQUARES = [row + column for row in ROWS for column in COLUMNS]
UNITS_OF_ALL = ([[row + column for column in COLUMNS] for row in ROWS]
                + [[row + column for row in ROWS] for column in COLUMNS]
                + [[row + column for row in rows for column in columns]
                   for rows in ("ABC", "DEF", "GHI") for columns in ("123", "456", "789")])
UNITS = {square: [unit for unit in UNITS_OF_ALL if square in unit] for square in SQUARES}
PEERS = {square: {other for unit in UNITS[square] for other in unit} - {square} for square in SQUARES}

PUZZLES = [
    "..3.2.6..9..3.5..1..18.64....81.29..7.......8..67.82....26.95..8..2.3..9..5.1.3..",
    "4.....8.5.3..........7......2.....6.....8.4......1.......6.3.7.5..2.....1.4......",
    "85...24..72......9..4.........1.7..23.5...9...4...........8..7..17..........36.4.",
]


def assign(values, square, digit):
    """Leave only *digit* in *square*; return None on a contradiction."""
    for other in values[square].replace(digit, ""):
        if not eliminate(values, square, other):
            return None
    return values


def eliminate(values, square, digit):
    if digit not in values[square]:
        return values
    values[square] = values[square].replace(digit, "")
    if not values[square]:
        return None
    if len(values[square]) == 1:
        last = values[square]
        for peer in PEERS[square]:
            if not eliminate(values, peer, last):
                return None
    for unit in UNITS[square]:
        places = [other for other in unit if digit in values[other]]
        if not places:
            return None
        if len(places) == 1 and not assign(values, places[0], digit):
            return None
    return values


def search(values):
    if values is None:
        return None
    open_squares = [square for square in SQUARES if len(values[square]) > 1]
    if not open_squares:
        return values
    square = min(open_squares, key=lambda other: (len(values[other]), other))
    for digit in values[square]:
        solved = search(assign(values.copy(), square, digit))
        if solved:
            return solved
    return None


def solve(puzzle):
    values = dict.fromkeys(SQUARES, "123456789")
    for square, digit in zip(SQUARES, puzzle):
        if digit != "." and not assign(values, square, digit):
            return None
    return search(values)


def main(loops):
    lines = []
    for _ in range(loops):
        lines = ["".join(solve(puzzle).values()) for puzzle in PUZZLES]
    return lines
