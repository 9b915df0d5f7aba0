import collections
import configparser
import string
import textwrap

text = textwrap.dedent("""
    [a]
    x = 1
    y = %(x)s2
""")
parser = configparser.ConfigParser()
parser.read_string(text)
print(dict(parser["a"]), string.Template("$a-$b").substitute(a=1, b=2))
print(textwrap.fill("some words to wrap around", 10).splitlines())
print(collections.Counter("abca").most_common(1), collections.ChainMap({"a": 1}, {"b": 2})["b"])
