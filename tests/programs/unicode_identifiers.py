größe = 3
变量 = größe + 1


def naïve(ñ):
    return ñ * 2


class Ünïcode:
    été = naïve(变量)


print(größe, 变量, Ünïcode.été, "→ ✓ 🎉")
