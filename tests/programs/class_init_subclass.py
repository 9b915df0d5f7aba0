class Base:
    subclasses = []

    def __init_subclass__(cls, /, name=None, **options):
        super().__init_subclass__(**options)
        cls.subclasses.append(name or cls.__name__)

    def __class_getitem__(cls, item):
        return (cls.__name__, item)


class A(Base):
    pass


class B(Base, name="bee"):
    pass


class C(
    A,
    name="sea",
):
    pass


print(Base.subclasses, Base[int])
