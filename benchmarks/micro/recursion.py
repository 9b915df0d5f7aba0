"""Recursion: Fibonacci numbers, the program whose lines are nearly all calls and returns."""


def fib(number):
    if number < 2:
        return number
    return fib(number - 1) + fib(number - 2)


def main(loops):
    total = 0
    for _ in range(loops):
        total += fib(17)
    return total
