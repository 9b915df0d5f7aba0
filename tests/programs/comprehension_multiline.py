pairs = [  # 15, from 3.12: 13, from 3.13: 2
    (a, b)  # 4, from 3.12: 9, from 3.14: 6
    for a in range(3)  # 4, from 3.13: 5
    for b in range(2)  # 9
    if a != b  # 14, from 3.12: 6
]
print(pairs)  # 1
