choose = lambda n: (  # 3, from 3.13: 1
    "small"  # 1, from 3.13: 2
    if n < 10  # 2
    else "big"  # 1
)
print(choose(1), choose(11))  # 1
print(sorted(["bb", "a"], key=lambda word: (  # 3
    len(word),  # 2
    word,  # 2
)))
