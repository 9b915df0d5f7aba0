total = sum(
    n * m
    for n in range(3)
    for m in range(3)
    if n != m
)
print(total)
print(max(
    len(word)
    for word in
    ["a", "abc", "ab"]
))
