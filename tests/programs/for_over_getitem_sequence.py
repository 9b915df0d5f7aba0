class Letters:
    def __getitem__(self, index):
        if index > 3:
            raise IndexError(index)
        return "abcd"[index]


for letter in Letters():
    print(letter)
print("".join(Letters()))
