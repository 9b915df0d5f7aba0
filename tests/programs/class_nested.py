class Outer:  # 2
    class Inner:  # 2
        class Innermost:  # 2
            value = 3  # 1

            def get(self):  # 1
                return self.value  # 2

        deep = Innermost().get()  # 1

    shallow = Inner.deep + 1  # 1


print(Outer.shallow, Outer.Inner.Innermost().get())  # 1
