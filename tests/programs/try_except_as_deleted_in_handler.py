try:
    1 / 0
except ZeroDivisionError as error:
    del error
print("error" in globals())
