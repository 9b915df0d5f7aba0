# requires: 3.12
items = {"a": [1, 2]}
print(f"{items["a"]} {f"{f"{1 + 1}"}"} {"\n".join(["x", "y"])}")
print(f"{
    items["a"][0]  # a comment
    + 1
}")
