def parse(texts):  # 1
    numbers = []  # 1
    for text in texts:  # 6
        try:  # 5
            number = int(text)  # 5
        except ValueError:  # 2
            continue  # 2
        numbers.append(number)  # 3
    return numbers  # 1


print(parse(["1", "x", "3", "", "5"]))  # 1
