"""Random source files with everything that a listing may fail on.

The strategy `sources` draws the bytes of a file that compiles.
"""

from hypothesis import strategies as st

STATEMENTS = [
    "x = 1",
    "",
    "    ",
    "\f",
    "# a comment",
    '"""a string"""',
    '"""a string"""; x = 2',
    "'''two\nlines'''",
    "f'an {1} f-string'",
    "x = '''three\n  long\n\tlines'''",
    "x = (1 +\n     2)  #pragma NO COVER",
    "x = 3  # pragma: no cover",
    "pass  #pragma NO COVER",
    "global y",
    "if []:\n\tprint('tab\tstops')\nelse:\n\tpass",
    "if 0:\n    x = 1",
    "if 1: x = 2; x = 3",
    "for x in ():\n    continue\nelse:\n    x = 0",
    "while []: x = 1",
    "try:\n    x = 1\nexcept (\n    ValueError\n):\n    raise\nfinally:\n    x = 2",
    "with open('x') as f, \\\n     open('y') as g:\n    pass",
    "def f():\n    '''a\n    docstring'''\n    return 1",
    "def f():\n    # a comment first\n    'a docstring'",
    "def f(\n    a: int = 1,\n    *,\n    b: str,\n) -> None: ...",
    "async def f():\n    async for x in y:\n        await x\n    yield [\n        x\n        for x in y\n    ]",
    "@str\nclass A:\n    '''doc'''\n    x: int\n    def m(self): return lambda: (\n        self\n    )",
    "match x:\n    case [1, *_]:\n        x = 1\n    case _:\n        x = 2",
    "x = 'ä€œ'",
    "x: 'int'",
]

#: Names of encodings, each with the first line that declares it.
ENCODINGS = [("utf-8", ""), ("utf-8-sig", ""), ("utf-8", "# coding: utf-8\n")]
ENCODINGS += [("iso-8859-15", "# coding: iso-8859-15\n")]

sources = st.builds(
    lambda statements, encoding, newline, ending: (
        (encoding[1] + "\n".join(statements) + ending).replace("\n", newline).encode(encoding[0])
    ),
    st.lists(st.sampled_from(STATEMENTS), max_size=12),
    st.sampled_from(ENCODINGS),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from(["", "\n", "\n\n"]),
)
