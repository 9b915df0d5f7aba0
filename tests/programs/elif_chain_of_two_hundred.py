def f(n):
    if n == 0:
        return 'zero'
    elif n == 1:
        return 1
    elif n == 2:
        return 4
    elif n == 3:
        return 9
    elif n == 4:
        return 16
    elif n == 5:
        return 25
    elif n == 6:
        return 36
    elif n == 7:
        return 49
    elif n == 8:
        return 64
    elif n == 9:
        return 81
    elif n == 10:
        return 100
    elif n == 11:
        return 121
    elif n == 12:
        return 144
    elif n == 13:
        return 169
    elif n == 14:
        return 196
    elif n == 15:
        return 225
    elif n == 16:
        return 256
    elif n == 17:
        return 289
    elif n == 18:
        return 324
    elif n == 19:
        return 361
    elif n == 20:
        return 400
    elif n == 21:
        return 441
    elif n == 22:
        return 484
    elif n == 23:
        return 529
    elif n == 24:
        return 576
    elif n == 25:
        return 625
    elif n == 26:
        return 676
    elif n == 27:
        return 729
    elif n == 28:
        return 784
    elif n == 29:
        return 841
    elif n == 30:
        return 900
    elif n == 31:
        return 961
    elif n == 32:
        return 1024
    elif n == 33:
        return 1089
    elif n == 34:
        return 1156
    elif n == 35:
        return 1225
    elif n == 36:
        return 1296
    elif n == 37:
        return 1369
    elif n == 38:
        return 1444
    elif n == 39:
        return 1521
    elif n == 40:
        return 1600
    elif n == 41:
        return 1681
    elif n == 42:
        return 1764
    elif n == 43:
        return 1849
    elif n == 44:
        return 1936
    elif n == 45:
        return 2025
    elif n == 46:
        return 2116
    elif n == 47:
        return 2209
    elif n == 48:
        return 2304
    elif n == 49:
        return 2401
    elif n == 50:
        return 2500
    elif n == 51:
        return 2601
    elif n == 52:
        return 2704
    elif n == 53:
        return 2809
    elif n == 54:
        return 2916
    elif n == 55:
        return 3025
    elif n == 56:
        return 3136
    elif n == 57:
        return 3249
    elif n == 58:
        return 3364
    elif n == 59:
        return 3481
    elif n == 60:
        return 3600
    elif n == 61:
        return 3721
    elif n == 62:
        return 3844
    elif n == 63:
        return 3969
    elif n == 64:
        return 4096
    elif n == 65:
        return 4225
    elif n == 66:
        return 4356
    elif n == 67:
        return 4489
    elif n == 68:
        return 4624
    elif n == 69:
        return 4761
    elif n == 70:
        return 4900
    elif n == 71:
        return 5041
    elif n == 72:
        return 5184
    elif n == 73:
        return 5329
    elif n == 74:
        return 5476
    elif n == 75:
        return 5625
    elif n == 76:
        return 5776
    elif n == 77:
        return 5929
    elif n == 78:
        return 6084
    elif n == 79:
        return 6241
    elif n == 80:
        return 6400
    elif n == 81:
        return 6561
    elif n == 82:
        return 6724
    elif n == 83:
        return 6889
    elif n == 84:
        return 7056
    elif n == 85:
        return 7225
    elif n == 86:
        return 7396
    elif n == 87:
        return 7569
    elif n == 88:
        return 7744
    elif n == 89:
        return 7921
    elif n == 90:
        return 8100
    elif n == 91:
        return 8281
    elif n == 92:
        return 8464
    elif n == 93:
        return 8649
    elif n == 94:
        return 8836
    elif n == 95:
        return 9025
    elif n == 96:
        return 9216
    elif n == 97:
        return 9409
    elif n == 98:
        return 9604
    elif n == 99:
        return 9801
    elif n == 100:
        return 10000
    elif n == 101:
        return 10201
    elif n == 102:
        return 10404
    elif n == 103:
        return 10609
    elif n == 104:
        return 10816
    elif n == 105:
        return 11025
    elif n == 106:
        return 11236
    elif n == 107:
        return 11449
    elif n == 108:
        return 11664
    elif n == 109:
        return 11881
    elif n == 110:
        return 12100
    elif n == 111:
        return 12321
    elif n == 112:
        return 12544
    elif n == 113:
        return 12769
    elif n == 114:
        return 12996
    elif n == 115:
        return 13225
    elif n == 116:
        return 13456
    elif n == 117:
        return 13689
    elif n == 118:
        return 13924
    elif n == 119:
        return 14161
    elif n == 120:
        return 14400
    elif n == 121:
        return 14641
    elif n == 122:
        return 14884
    elif n == 123:
        return 15129
    elif n == 124:
        return 15376
    elif n == 125:
        return 15625
    elif n == 126:
        return 15876
    elif n == 127:
        return 16129
    elif n == 128:
        return 16384
    elif n == 129:
        return 16641
    elif n == 130:
        return 16900
    elif n == 131:
        return 17161
    elif n == 132:
        return 17424
    elif n == 133:
        return 17689
    elif n == 134:
        return 17956
    elif n == 135:
        return 18225
    elif n == 136:
        return 18496
    elif n == 137:
        return 18769
    elif n == 138:
        return 19044
    elif n == 139:
        return 19321
    elif n == 140:
        return 19600
    elif n == 141:
        return 19881
    elif n == 142:
        return 20164
    elif n == 143:
        return 20449
    elif n == 144:
        return 20736
    elif n == 145:
        return 21025
    elif n == 146:
        return 21316
    elif n == 147:
        return 21609
    elif n == 148:
        return 21904
    elif n == 149:
        return 22201
    elif n == 150:
        return 22500
    elif n == 151:
        return 22801
    elif n == 152:
        return 23104
    elif n == 153:
        return 23409
    elif n == 154:
        return 23716
    elif n == 155:
        return 24025
    elif n == 156:
        return 24336
    elif n == 157:
        return 24649
    elif n == 158:
        return 24964
    elif n == 159:
        return 25281
    elif n == 160:
        return 25600
    elif n == 161:
        return 25921
    elif n == 162:
        return 26244
    elif n == 163:
        return 26569
    elif n == 164:
        return 26896
    elif n == 165:
        return 27225
    elif n == 166:
        return 27556
    elif n == 167:
        return 27889
    elif n == 168:
        return 28224
    elif n == 169:
        return 28561
    elif n == 170:
        return 28900
    elif n == 171:
        return 29241
    elif n == 172:
        return 29584
    elif n == 173:
        return 29929
    elif n == 174:
        return 30276
    elif n == 175:
        return 30625
    elif n == 176:
        return 30976
    elif n == 177:
        return 31329
    elif n == 178:
        return 31684
    elif n == 179:
        return 32041
    elif n == 180:
        return 32400
    elif n == 181:
        return 32761
    elif n == 182:
        return 33124
    elif n == 183:
        return 33489
    elif n == 184:
        return 33856
    elif n == 185:
        return 34225
    elif n == 186:
        return 34596
    elif n == 187:
        return 34969
    elif n == 188:
        return 35344
    elif n == 189:
        return 35721
    elif n == 190:
        return 36100
    elif n == 191:
        return 36481
    elif n == 192:
        return 36864
    elif n == 193:
        return 37249
    elif n == 194:
        return 37636
    elif n == 195:
        return 38025
    elif n == 196:
        return 38416
    elif n == 197:
        return 38809
    elif n == 198:
        return 39204
    elif n == 199:
        return 39601
    else:
        return None


print(f(0), f(150), f(199), f(200))
