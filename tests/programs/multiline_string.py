text = """one
two
three"""
data = f"""{text}
{len(text)}
{
    text.upper()
}"""
print(data)


def f():
    """A docstring
    of two lines."""
    return """a
b"""


print(f())
