import threading


class Adder(threading.Thread):
    total = 0
    lock = threading.Lock()

    def __init__(self, n):
        super().__init__()
        self.n = n

    def run(self):
        for _ in range(self.n):
            with Adder.lock:
                Adder.total += 1


adders = [Adder(n) for n in (10, 20)]
for adder in adders:
    adder.start()
for adder in adders:
    adder.join()
print(Adder.total)
