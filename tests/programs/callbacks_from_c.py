import re

calls = []


def replace(match):
    calls.append(match.group())
    if match.group() == "b":
        return "B"
    return ""


print(re.sub("[abc]", replace, "xaybzc"))
print(sorted(["b", "a"], key=lambda word: calls.append(word) or word), calls)
print(list(filter(lambda n: n % 2, range(5))), max(range(5), key=lambda n: -abs(n - 2)))
print(list(map(lambda a, b: a + b, [1, 2], [3, 4])), list(iter(iter([1, 2, 0, 3]).__next__, 0)))
