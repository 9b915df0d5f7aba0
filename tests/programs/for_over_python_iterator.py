class Countdown:  # 2
    def __init__(self, start):  # 1
        self.left = start  # 4

    def __iter__(self):  # 1
        return self  # 4

    def __next__(self):  # 1
        if not self.left:  # 16
            raise StopIteration  # 3
        self.left -= 1  # 13
        return self.left  # 13


for n in Countdown(3):  # 4
    print(n)  # 3
print(list(Countdown(4)), max(Countdown(5)), 2 in Countdown(3))  # 1
