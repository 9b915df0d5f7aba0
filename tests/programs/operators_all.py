a, b = 7, 3
print(a + b, a - b, a * b, a / b, a // b, a % b, a**b, a @ b if False else 0)
print(a & b, a | b, a ^ b, a << b, a >> b, ~a, +a, -a, not a)
print(a < b, a <= b, a == b, a != b, a >= b, a > b, a is b, a is not b, a in [7], a not in [7])
