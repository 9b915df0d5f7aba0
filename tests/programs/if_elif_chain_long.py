def spell(n):  # 1
    if n == 0:  # 5
        word = "zero"  # 1
    elif n == 1:  # 4
        word = "one"
    elif n == 2:  # 4
        word = "two"
    elif n == 3:  # 4
        word = "three"  # 2
    elif n == 4:  # 2
        word = "four"
    elif n == 5:  # 2
        word = "five"
    elif n == 6:  # 2
        word = "six"
    elif n == 7:  # 2
        word = "seven"  # 1
    return word  # 5


for n in (7, 0, 3, 3):  # 5
    print(spell(n))  # 4
try:  # 1
    spell(8)  # 1
except UnboundLocalError as error:  # 1
    print(type(error).__name__)  # 1
