"""The jumps back of two loops lead to one head: on 3.11, copies of the loop are reached by a step and by a jump."""

turns = 0


def more():
    global turns
    turns += 1
    return turns % 3


def both_on_one_line(n):
    while n:
        while more(): continue
        n -= 1


def condition_on_two_lines(n):
    while (n
           and n > 0):
        n -= 1
        while more(): continue


def nothing_else(n):
    while (turns < n):
        while more(): continue


def inner_on_two_lines(n):
    while n:
        while more():
            continue
        n -= 1


both_on_one_line(5)
condition_on_two_lines(5)
nothing_else(60)
inner_on_two_lines(7)
