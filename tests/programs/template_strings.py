# requires: 3.14
name = "world"
template = t"hello {name!r:>{5 + 5}} {name.upper()}"
for part in template:
    print(part if isinstance(part, str) else part.value)
print(t"{
    name
}".interpolations[0].expression)
