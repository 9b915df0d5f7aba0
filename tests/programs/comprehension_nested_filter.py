primes = [n for n in range(2, 30) if all(n % m for m in range(2, n) if m * m <= n)]  # 174, from 3.12: 173, from 3.14: 199
print(primes)  # 1
grid = [[a * b for b in range(3) if b] for a in range(4) if a % 2]  # 14, from 3.12: 11
print(grid)  # 1
