def f0(n):
    if n:
        return f0(0) if n > 1 and 0 else n
    return 0
def f1(n): return n + 1
def f2(n):
    if n:
        return f1(0) if n > 1 and 2 else n
    return 2
def f3(n): return n + 3
def f4(n):
    if n:
        return f3(0) if n > 1 and 4 else n
    return 4
def f5(n): return n + 5
def f6(n):
    if n:
        return f5(0) if n > 1 and 6 else n
    return 6
def f7(n): return n + 7
def f8(n):
    if n:
        return f7(0) if n > 1 and 8 else n
    return 8
def f9(n): return n + 9
def f10(n):
    if n:
        return f9(0) if n > 1 and 10 else n
    return 10
def f11(n): return n + 11
def f12(n):
    if n:
        return f11(0) if n > 1 and 12 else n
    return 12
def f13(n): return n + 13
def f14(n):
    if n:
        return f13(0) if n > 1 and 14 else n
    return 14
def f15(n): return n + 15
def f16(n):
    if n:
        return f15(0) if n > 1 and 16 else n
    return 16
def f17(n): return n + 17
def f18(n):
    if n:
        return f17(0) if n > 1 and 18 else n
    return 18
def f19(n): return n + 19
def f20(n):
    if n:
        return f19(0) if n > 1 and 20 else n
    return 20
def f21(n): return n + 21
def f22(n):
    if n:
        return f21(0) if n > 1 and 22 else n
    return 22
def f23(n): return n + 23
def f24(n):
    if n:
        return f23(0) if n > 1 and 24 else n
    return 24
def f25(n): return n + 25
def f26(n):
    if n:
        return f25(0) if n > 1 and 26 else n
    return 26
def f27(n): return n + 27
def f28(n):
    if n:
        return f27(0) if n > 1 and 28 else n
    return 28
def f29(n): return n + 29
def f30(n):
    if n:
        return f29(0) if n > 1 and 30 else n
    return 30
def f31(n): return n + 31
def f32(n):
    if n:
        return f31(0) if n > 1 and 32 else n
    return 32
def f33(n): return n + 33
def f34(n):
    if n:
        return f33(0) if n > 1 and 34 else n
    return 34
def f35(n): return n + 35
def f36(n):
    if n:
        return f35(0) if n > 1 and 36 else n
    return 36
def f37(n): return n + 37
def f38(n):
    if n:
        return f37(0) if n > 1 and 38 else n
    return 38
def f39(n): return n + 39
def f40(n):
    if n:
        return f39(0) if n > 1 and 40 else n
    return 40
def f41(n): return n + 41
def f42(n):
    if n:
        return f41(0) if n > 1 and 42 else n
    return 42
def f43(n): return n + 43
def f44(n):
    if n:
        return f43(0) if n > 1 and 44 else n
    return 44
def f45(n): return n + 45
def f46(n):
    if n:
        return f45(0) if n > 1 and 46 else n
    return 46
def f47(n): return n + 47
def f48(n):
    if n:
        return f47(0) if n > 1 and 48 else n
    return 48
def f49(n): return n + 49
def f50(n):
    if n:
        return f49(0) if n > 1 and 50 else n
    return 50
def f51(n): return n + 51
def f52(n):
    if n:
        return f51(0) if n > 1 and 52 else n
    return 52
def f53(n): return n + 53
def f54(n):
    if n:
        return f53(0) if n > 1 and 54 else n
    return 54
def f55(n): return n + 55
def f56(n):
    if n:
        return f55(0) if n > 1 and 56 else n
    return 56
def f57(n): return n + 57
def f58(n):
    if n:
        return f57(0) if n > 1 and 58 else n
    return 58
def f59(n): return n + 59
def f60(n):
    if n:
        return f59(0) if n > 1 and 60 else n
    return 60
def f61(n): return n + 61
def f62(n):
    if n:
        return f61(0) if n > 1 and 62 else n
    return 62
def f63(n): return n + 63
def f64(n):
    if n:
        return f63(0) if n > 1 and 64 else n
    return 64
def f65(n): return n + 65
def f66(n):
    if n:
        return f65(0) if n > 1 and 66 else n
    return 66
def f67(n): return n + 67
def f68(n):
    if n:
        return f67(0) if n > 1 and 68 else n
    return 68
def f69(n): return n + 69
def f70(n):
    if n:
        return f69(0) if n > 1 and 70 else n
    return 70
def f71(n): return n + 71
def f72(n):
    if n:
        return f71(0) if n > 1 and 72 else n
    return 72
def f73(n): return n + 73
def f74(n):
    if n:
        return f73(0) if n > 1 and 74 else n
    return 74
def f75(n): return n + 75
def f76(n):
    if n:
        return f75(0) if n > 1 and 76 else n
    return 76
def f77(n): return n + 77
def f78(n):
    if n:
        return f77(0) if n > 1 and 78 else n
    return 78
def f79(n): return n + 79
def f80(n):
    if n:
        return f79(0) if n > 1 and 80 else n
    return 80
def f81(n): return n + 81
def f82(n):
    if n:
        return f81(0) if n > 1 and 82 else n
    return 82
def f83(n): return n + 83
def f84(n):
    if n:
        return f83(0) if n > 1 and 84 else n
    return 84
def f85(n): return n + 85
def f86(n):
    if n:
        return f85(0) if n > 1 and 86 else n
    return 86
def f87(n): return n + 87
def f88(n):
    if n:
        return f87(0) if n > 1 and 88 else n
    return 88
def f89(n): return n + 89
def f90(n):
    if n:
        return f89(0) if n > 1 and 90 else n
    return 90
def f91(n): return n + 91
def f92(n):
    if n:
        return f91(0) if n > 1 and 92 else n
    return 92
def f93(n): return n + 93
def f94(n):
    if n:
        return f93(0) if n > 1 and 94 else n
    return 94
def f95(n): return n + 95
def f96(n):
    if n:
        return f95(0) if n > 1 and 96 else n
    return 96
def f97(n): return n + 97
def f98(n):
    if n:
        return f97(0) if n > 1 and 98 else n
    return 98
def f99(n): return n + 99
def f100(n):
    if n:
        return f99(0) if n > 1 and 100 else n
    return 100
def f101(n): return n + 101
def f102(n):
    if n:
        return f101(0) if n > 1 and 102 else n
    return 102
def f103(n): return n + 103
def f104(n):
    if n:
        return f103(0) if n > 1 and 104 else n
    return 104
def f105(n): return n + 105
def f106(n):
    if n:
        return f105(0) if n > 1 and 106 else n
    return 106
def f107(n): return n + 107
def f108(n):
    if n:
        return f107(0) if n > 1 and 108 else n
    return 108
def f109(n): return n + 109
def f110(n):
    if n:
        return f109(0) if n > 1 and 110 else n
    return 110
def f111(n): return n + 111
def f112(n):
    if n:
        return f111(0) if n > 1 and 112 else n
    return 112
def f113(n): return n + 113
def f114(n):
    if n:
        return f113(0) if n > 1 and 114 else n
    return 114
def f115(n): return n + 115
def f116(n):
    if n:
        return f115(0) if n > 1 and 116 else n
    return 116
def f117(n): return n + 117
def f118(n):
    if n:
        return f117(0) if n > 1 and 118 else n
    return 118
def f119(n): return n + 119
def f120(n):
    if n:
        return f119(0) if n > 1 and 120 else n
    return 120
def f121(n): return n + 121
def f122(n):
    if n:
        return f121(0) if n > 1 and 122 else n
    return 122
def f123(n): return n + 123
def f124(n):
    if n:
        return f123(0) if n > 1 and 124 else n
    return 124
def f125(n): return n + 125
def f126(n):
    if n:
        return f125(0) if n > 1 and 126 else n
    return 126
def f127(n): return n + 127
def f128(n):
    if n:
        return f127(0) if n > 1 and 128 else n
    return 128
def f129(n): return n + 129
def f130(n):
    if n:
        return f129(0) if n > 1 and 130 else n
    return 130
def f131(n): return n + 131
def f132(n):
    if n:
        return f131(0) if n > 1 and 132 else n
    return 132
def f133(n): return n + 133
def f134(n):
    if n:
        return f133(0) if n > 1 and 134 else n
    return 134
def f135(n): return n + 135
def f136(n):
    if n:
        return f135(0) if n > 1 and 136 else n
    return 136
def f137(n): return n + 137
def f138(n):
    if n:
        return f137(0) if n > 1 and 138 else n
    return 138
def f139(n): return n + 139
def f140(n):
    if n:
        return f139(0) if n > 1 and 140 else n
    return 140
def f141(n): return n + 141
def f142(n):
    if n:
        return f141(0) if n > 1 and 142 else n
    return 142
def f143(n): return n + 143
def f144(n):
    if n:
        return f143(0) if n > 1 and 144 else n
    return 144
def f145(n): return n + 145
def f146(n):
    if n:
        return f145(0) if n > 1 and 146 else n
    return 146
def f147(n): return n + 147
def f148(n):
    if n:
        return f147(0) if n > 1 and 148 else n
    return 148
def f149(n): return n + 149
def f150(n):
    if n:
        return f149(0) if n > 1 and 150 else n
    return 150
def f151(n): return n + 151
def f152(n):
    if n:
        return f151(0) if n > 1 and 152 else n
    return 152
def f153(n): return n + 153
def f154(n):
    if n:
        return f153(0) if n > 1 and 154 else n
    return 154
def f155(n): return n + 155
def f156(n):
    if n:
        return f155(0) if n > 1 and 156 else n
    return 156
def f157(n): return n + 157
def f158(n):
    if n:
        return f157(0) if n > 1 and 158 else n
    return 158
def f159(n): return n + 159
def f160(n):
    if n:
        return f159(0) if n > 1 and 160 else n
    return 160
def f161(n): return n + 161
def f162(n):
    if n:
        return f161(0) if n > 1 and 162 else n
    return 162
def f163(n): return n + 163
def f164(n):
    if n:
        return f163(0) if n > 1 and 164 else n
    return 164
def f165(n): return n + 165
def f166(n):
    if n:
        return f165(0) if n > 1 and 166 else n
    return 166
def f167(n): return n + 167
def f168(n):
    if n:
        return f167(0) if n > 1 and 168 else n
    return 168
def f169(n): return n + 169
def f170(n):
    if n:
        return f169(0) if n > 1 and 170 else n
    return 170
def f171(n): return n + 171
def f172(n):
    if n:
        return f171(0) if n > 1 and 172 else n
    return 172
def f173(n): return n + 173
def f174(n):
    if n:
        return f173(0) if n > 1 and 174 else n
    return 174
def f175(n): return n + 175
def f176(n):
    if n:
        return f175(0) if n > 1 and 176 else n
    return 176
def f177(n): return n + 177
def f178(n):
    if n:
        return f177(0) if n > 1 and 178 else n
    return 178
def f179(n): return n + 179
def f180(n):
    if n:
        return f179(0) if n > 1 and 180 else n
    return 180
def f181(n): return n + 181
def f182(n):
    if n:
        return f181(0) if n > 1 and 182 else n
    return 182
def f183(n): return n + 183
def f184(n):
    if n:
        return f183(0) if n > 1 and 184 else n
    return 184
def f185(n): return n + 185
def f186(n):
    if n:
        return f185(0) if n > 1 and 186 else n
    return 186
def f187(n): return n + 187
def f188(n):
    if n:
        return f187(0) if n > 1 and 188 else n
    return 188
def f189(n): return n + 189
def f190(n):
    if n:
        return f189(0) if n > 1 and 190 else n
    return 190
def f191(n): return n + 191
def f192(n):
    if n:
        return f191(0) if n > 1 and 192 else n
    return 192
def f193(n): return n + 193
def f194(n):
    if n:
        return f193(0) if n > 1 and 194 else n
    return 194
def f195(n): return n + 195
def f196(n):
    if n:
        return f195(0) if n > 1 and 196 else n
    return 196
def f197(n): return n + 197
def f198(n):
    if n:
        return f197(0) if n > 1 and 198 else n
    return 198
def f199(n): return n + 199
print(sum(f(1) for name, f in sorted(globals().items()) if name.startswith('f') and callable(f)))
print(f199(2), f198(2))
