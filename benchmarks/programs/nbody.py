"""Planets under Newton's law: float arithmetic in one deep loop over pairs of lists."""

LOOPS = 100

DAYS = 365.24
SUN_MASS = 39.47841760435743


def bodies():
    """Return the sun and four planets as [x, y, z, vx, vy, vz, mass]."""
    return [
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, SUN_MASS],
        [4.84, -1.16, -0.10, 0.00166 * DAYS, 0.00769 * DAYS, -0.0000690 * DAYS, 0.000954 * SUN_MASS],
        [8.34, 4.12, -0.403, -0.00276 * DAYS, 0.00499 * DAYS, 0.0000230 * DAYS, 0.000285 * SUN_MASS],
        [12.8, -15.1, -0.223, 0.00296 * DAYS, 0.00237 * DAYS, -0.0000296 * DAYS, 0.0000436 * SUN_MASS],
        [15.3, -25.9, 0.179, 0.00268 * DAYS, 0.00162 * DAYS, -0.0000951 * DAYS, 0.0000515 * SUN_MASS],
    ]


def advance(system, pairs, dt, steps):
    """Move the whole *system* by *steps* of *dt*."""
    for _ in range(steps):
        for first, second in pairs:
            dx = first[0] - second[0]
            dy = first[1] - second[1]
            dz = first[2] - second[2]
            distance = dx * dx + dy * dy + dz * dz
            pull = dt / (distance * distance ** 0.5)
            mass = second[6] * pull
            first[3] -= dx * mass
            first[4] -= dy * mass
            first[5] -= dz * mass
            mass = first[6] * pull
            second[3] += dx * mass
            second[4] += dy * mass
            second[5] += dz * mass
        for body in system:
            body[0] += dt * body[3]
            body[1] += dt * body[4]
            body[2] += dt * body[5]


def energy(system, pairs):
    """Return kinetic and potential energy together."""
    total = 0.0
    for body in system:
        total += 0.5 * body[6] * (body[3] ** 2 + body[4] ** 2 + body[5] ** 2)
    for first, second in pairs:
        distance = sum((first[axis] - second[axis]) ** 2 for axis in range(3)) ** 0.5
        total -= first[6] * second[6] / distance
    return total


def main(loops):
    system = bodies()
    pairs = [(a, b) for index, a in enumerate(system) for b in system[index + 1:]]
    for _ in range(loops):
        advance(system, pairs, 0.01, 1000)
    return round(energy(system, pairs), 9)
