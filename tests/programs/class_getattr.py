class Lazy:
    def __getattr__(self, name):
        if name.startswith("x"):
            return len(name)
        raise AttributeError(name)

    def __setattr__(self, name, value):
        super().__setattr__(name, value + 1)

    def __delattr__(self, name):
        print("delete", name)


lazy = Lazy()
print(lazy.xyz, hasattr(lazy, "nope"), getattr(lazy, "other", 0))
lazy.a = 1
del lazy.a
print(lazy.a)
