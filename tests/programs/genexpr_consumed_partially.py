squares = (n * n for n in range(10))  # 6
print(next(squares), next(squares))  # 1
for square in squares:  # 3
    if square > 10:  # 3
        break  # 1
print(square)  # 1
squares.close()  # 1
print(any(n > 2 for n in range(100)), all(n < 2 for n in range(100)))  # 8, from 3.14: 13
