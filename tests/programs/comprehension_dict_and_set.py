words = ["a", "bb", "cc", "ddd"]
print({word: len(word) for word in words})
print(sorted({len(word) for word in words}))
print({
    len(word):
    word
    for word in words
})
