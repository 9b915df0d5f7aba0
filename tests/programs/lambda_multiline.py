choose = lambda n: (
    "small"
    if n < 10
    else "big"
)
print(choose(1), choose(11))
print(sorted(["bb", "a"], key=lambda word: (
    len(word),
    word,
)))
