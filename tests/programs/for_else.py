def find(needle, haystack):  # 1
    for item in haystack:  # 7
        if item == needle:  # 5
            found = True  # 1
            break  # 1
    else:
        found = False  # 2
    return found  # 3


print(find(2, [1, 2, 3]), find(9, [1, 2, 3]), find(1, []))  # 1
