total = sum(  # 18, from 3.13: 3, from 3.15: 2
    n * m  # 6, from 3.12: 12, from 3.14: 9
    for n in range(3)  # 4, from 3.13: 5
    for m in range(3)  # 12
    if n != m  # 18, from 3.12: 9
)
print(total)  # 1
print(max(  # 9, from 3.12: 6, from 3.13: 3, from 3.15: 2
    len(word)  # 3
    for word in  # 3
    ["a", "abc", "ab"]  # 1, from 3.13: 5
))
