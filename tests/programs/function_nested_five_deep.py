def a():
    def b():
        def c():
            def d():
                def e():
                    return "deep"
                return e()
            return d() + "d"
        return c() + "c"
    return b() + "b"


print(a(), a())
