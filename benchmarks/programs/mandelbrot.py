"""The Mandelbrot set in characters: a tight while loop on complex and on float numbers."""

LOOPS = 140

SHADES = " .:-=+*#%@"


def steps_complex(point, limit):
    z = 0j
    for step in range(limit):
        if abs(z) > 2.0:
            return step
        z = z * z + point
    return limit


def steps_floats(x, y, limit):
    a = b = 0.0
    step = 0
    while a * a + b * b <= 4.0 and step < limit:
        a, b = a * a - b * b + x, 2.0 * a * b + y
        step += 1
    return step


def main(loops):
    lines = []
    for turn in range(loops):
        lines = []
        for row in range(24):
            y = row / 10 - 1.2
            line = ""
            for column in range(60):
                x = column / 20 - 2.2
                steps = steps_floats(x, y, 60) if turn % 2 else steps_complex(complex(x, y), 60)
                line += SHADES[steps % 10]
            lines.append(line)
    return sum(ord(character) * (place + 1) for place, character in enumerate("".join(lines)))
