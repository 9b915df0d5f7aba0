def f(n):
    for i in range(3):
        try:
            try:
                if i == n:
                    return "return"
                if i == n - 1:
                    continue
                if n < 0:
                    break
            finally:
                trail.append("a")
        finally:
            trail.append("b")
        trail.append("c")
    return "end"


trail = []
print(f(0), f(1), f(2), f(5), f(-1), len(trail))
