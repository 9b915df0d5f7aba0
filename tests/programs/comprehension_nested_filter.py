primes = [n for n in range(2, 30) if all(n % m for m in range(2, n) if m * m <= n)]
print(primes)
grid = [[a * b for b in range(3) if b] for a in range(4) if a % 2]
print(grid)
