squares = [n * n for n in range(5)]  # 7, from 3.12: 6
print(squares)  # 1
