class Countdown:
    def __init__(self, start):
        self.left = start

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        self.left -= 1
        return self.left


for n in Countdown(3):
    print(n)
print(list(Countdown(4)), max(Countdown(5)), 2 in Countdown(3))
