x = "böm"
print(len(x))
