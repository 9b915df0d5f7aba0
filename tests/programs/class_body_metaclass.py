class Meta(type):
    def __prepare__(name, bases, **options):
        print("prepare", name, options)
        return {}

    def __new__(meta, name, bases, namespace, **options):
        namespace["added"] = len(namespace)
        return super().__new__(meta, name, bases, namespace)

    def __init__(cls, name, bases, namespace, **options):
        super().__init__(name, bases, namespace)

    def __call__(cls, *args):
        print("calling", cls.__name__)
        return super().__call__(*args)


class A(metaclass=Meta, option=1):
    x = 1

    def __init__(self, n):
        self.n = n


class B(A):
    pass


print(A(1).n, B(2).n, A.added > 0)
