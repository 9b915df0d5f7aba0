table = {1: 1}
try:
    for key in table:
        table[key + 1] = 1
except RuntimeError as error:
    print(error)
print(table)
