squares = (n * n for n in range(10))
print(next(squares), next(squares))
for square in squares:
    if square > 10:
        break
print(square)
squares.close()
print(any(n > 2 for n in range(100)), all(n < 2 for n in range(100)))
