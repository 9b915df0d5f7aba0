class Typed:
    def __set_name__(self, owner, name):
        self.name = "_" + name

    def __get__(self, instance, owner):
        if instance is None:
            return self
        return getattr(instance, self.name, None)

    def __set__(self, instance, value):
        setattr(instance, self.name, int(value))

    def __delete__(self, instance):
        delattr(instance, self.name)


class Point:
    x = Typed()
    y = Typed()


point = Point()
point.x = "4"
print(point.x, point.y, type(Point.x).__name__)
del point.x
print(point.x)
