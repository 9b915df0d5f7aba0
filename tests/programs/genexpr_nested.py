flat = list(n for row in ((m * 10 + n for n in range(2)) for m in range(3)) for n in row)
print(flat)
