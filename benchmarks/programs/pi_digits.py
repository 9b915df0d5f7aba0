"""Digits of pi by a spigot: most of the time is spent in C, on big integers."""

LOOPS = 54


def digits():
    """Yield the digits of pi (Gibbons 2006)."""
    q, r, t, k, n, step = 1, 0, 1, 1, 3, 3
    while True:
        if 4 * q + r - t < n * t:
            yield n
            shifted = 10 * (r - n * t)
            n = 10 * (3 * q + r) // t - 10 * n
            q *= 10
            r = shifted
        else:
            shifted = (2 * q + r) * step
            n = (q * (7 * k) + 2 + r * step) // (t * step)
            q *= k
            t *= step
            step += 2
            k += 1
            r = shifted


def main(loops):
    checksum = 0
    for _ in range(loops):
        for count, digit in enumerate(digits()):
            checksum = (checksum * 10 + digit) % 1_000_000_007
            if count == 500:
                break
    return checksum
