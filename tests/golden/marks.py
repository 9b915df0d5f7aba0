"""A module docstring
over two lines is never marked.
"""


def called(x):  # 1
    """A docstring is never marked."""
    if x:  # 1234567
        return (  # 1
            "one branch"
        )
    return "the other"


def never_called():  # 1
    # A comment is not executable.
    pass
    return None  #pragma NO COVER


class Empty:  # 2
	indent_by_tab = 1		# 1

	def method(self): pass  #pragma NO COVER


for _ in range(99999): pass  # 99999
while []: """not a docstring, but marked as none"""
