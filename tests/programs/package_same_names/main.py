import a.common
import b.common

print(a.common.f(), b.common.f(), a.name, b.name)
