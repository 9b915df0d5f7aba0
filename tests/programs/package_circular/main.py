import left

print(left.value(), left.right.value())
