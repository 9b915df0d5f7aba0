# -*- coding: latin-1 -*-
text = "café"


def f(n):
    return text * n


print(len(f(2)))
