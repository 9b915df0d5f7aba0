def spell(n):
    if n == 0:
        word = "zero"
    elif n == 1:
        word = "one"
    elif n == 2:
        word = "two"
    elif n == 3:
        word = "three"
    elif n == 4:
        word = "four"
    elif n == 5:
        word = "five"
    elif n == 6:
        word = "six"
    elif n == 7:
        word = "seven"
    return word


for n in (7, 0, 3, 3):
    print(spell(n))
try:
    spell(8)
except UnboundLocalError as error:
    print(type(error).__name__)
