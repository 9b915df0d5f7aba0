pairs = [
    (a, b)
    for a in range(3)
    for b in range(2)
    if a != b
]
print(pairs)
