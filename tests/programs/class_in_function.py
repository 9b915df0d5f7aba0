def make(base):
    class Made(base):
        def __len__(self):
            return super().__len__() + 1

        def twice(self):
            return [__class__.__name__] * 2

    return Made


for base in (list, dict):
    print(len(make(base)()), make(base)().twice())
