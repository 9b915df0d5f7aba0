def find(needle, haystack):
    for item in haystack:
        if item == needle:
            found = True
            break
    else:
        found = False
    return found


print(find(2, [1, 2, 3]), find(9, [1, 2, 3]), find(1, []))
