try: n = int("x")  # 1
except ValueError: n = 0  # 1
try: n += 1  # 1
except ValueError: n = 9
else: n += 10  # 1
finally: n += 100  # 1
print(n)  # 1
