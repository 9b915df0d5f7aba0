class Outer:
    class Inner:
        class Innermost:
            value = 3

            def get(self):
                return self.value

        deep = Innermost().get()

    shallow = Inner.deep + 1


print(Outer.shallow, Outer.Inner.Innermost().get())
