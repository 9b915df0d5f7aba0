def parse(texts):
    numbers = []
    for text in texts:
        try:
            number = int(text)
        except ValueError:
            continue
        numbers.append(number)
    return numbers


print(parse(["1", "x", "3", "", "5"]))
