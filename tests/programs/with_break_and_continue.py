class Manager:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        return False


seen = []
for n in range(5):
    with Manager():
        if n == 1:
            continue
        if n == 3:
            break
        seen.append(n)
print(seen)
