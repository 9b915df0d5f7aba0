group = ExceptionGroup("g", [ValueError(1), TypeError(2)])
match, rest = group.split(ValueError)
print(match.exceptions, rest.exceptions)
print(group.derive([KeyError(3)]).exceptions)
