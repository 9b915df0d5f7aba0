try: n = int("x")
except ValueError: n = 0
try: n += 1
except ValueError: n = 9
else: n += 10
finally: n += 100
print(n)
