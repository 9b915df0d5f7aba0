name0 = 0
name1 = 1
name2 = 2
name3 = 3
name4 = 4
name5 = 5
name6 = 6
name7 = 7
name8 = 8
name9 = 9
name10 = 10
name11 = 11
name12 = 12
name13 = 13
name14 = 14
name15 = 15
name16 = 16
name17 = 17
name18 = 18
name19 = 19
name20 = 20
name21 = 21
name22 = 22
name23 = 23
name24 = 24
name25 = 25
name26 = 26
name27 = 27
name28 = 28
name29 = 29
name30 = 30
name31 = 31
name32 = 32
name33 = 33
name34 = 34
name35 = 35
name36 = 36
name37 = 37
name38 = 38
name39 = 39
name40 = 40
name41 = 41
name42 = 42
name43 = 43
name44 = 44
name45 = 45
name46 = 46
name47 = 47
name48 = 48
name49 = 49
name50 = 50
name51 = 51
name52 = 52
name53 = 53
name54 = 54
name55 = 55
name56 = 56
name57 = 57
name58 = 58
name59 = 59
name60 = 60
name61 = 61
name62 = 62
name63 = 63
name64 = 64
name65 = 65
name66 = 66
name67 = 67
name68 = 68
name69 = 69
name70 = 70
name71 = 71
name72 = 72
name73 = 73
name74 = 74
name75 = 75
name76 = 76
name77 = 77
name78 = 78
name79 = 79
name80 = 80
name81 = 81
name82 = 82
name83 = 83
name84 = 84
name85 = 85
name86 = 86
name87 = 87
name88 = 88
name89 = 89
name90 = 90
name91 = 91
name92 = 92
name93 = 93
name94 = 94
name95 = 95
name96 = 96
name97 = 97
name98 = 98
name99 = 99
name100 = 100
name101 = 101
name102 = 102
name103 = 103
name104 = 104
name105 = 105
name106 = 106
name107 = 107
name108 = 108
name109 = 109
name110 = 110
name111 = 111
name112 = 112
name113 = 113
name114 = 114
name115 = 115
name116 = 116
name117 = 117
name118 = 118
name119 = 119
name120 = 120
name121 = 121
name122 = 122
name123 = 123
name124 = 124
name125 = 125
name126 = 126
name127 = 127
name128 = 128
name129 = 129
name130 = 130
name131 = 131
name132 = 132
name133 = 133
name134 = 134
name135 = 135
name136 = 136
name137 = 137
name138 = 138
name139 = 139
name140 = 140
name141 = 141
name142 = 142
name143 = 143
name144 = 144
name145 = 145
name146 = 146
name147 = 147
name148 = 148
name149 = 149
name150 = 150
name151 = 151
name152 = 152
name153 = 153
name154 = 154
name155 = 155
name156 = 156
name157 = 157
name158 = 158
name159 = 159
name160 = 160
name161 = 161
name162 = 162
name163 = 163
name164 = 164
name165 = 165
name166 = 166
name167 = 167
name168 = 168
name169 = 169
name170 = 170
name171 = 171
name172 = 172
name173 = 173
name174 = 174
name175 = 175
name176 = 176
name177 = 177
name178 = 178
name179 = 179
name180 = 180
name181 = 181
name182 = 182
name183 = 183
name184 = 184
name185 = 185
name186 = 186
name187 = 187
name188 = 188
name189 = 189
name190 = 190
name191 = 191
name192 = 192
name193 = 193
name194 = 194
name195 = 195
name196 = 196
name197 = 197
name198 = 198
name199 = 199
name200 = 200
name201 = 201
name202 = 202
name203 = 203
name204 = 204
name205 = 205
name206 = 206
name207 = 207
name208 = 208
name209 = 209
name210 = 210
name211 = 211
name212 = 212
name213 = 213
name214 = 214
name215 = 215
name216 = 216
name217 = 217
name218 = 218
name219 = 219
name220 = 220
name221 = 221
name222 = 222
name223 = 223
name224 = 224
name225 = 225
name226 = 226
name227 = 227
name228 = 228
name229 = 229
name230 = 230
name231 = 231
name232 = 232
name233 = 233
name234 = 234
name235 = 235
name236 = 236
name237 = 237
name238 = 238
name239 = 239
name240 = 240
name241 = 241
name242 = 242
name243 = 243
name244 = 244
name245 = 245
name246 = 246
name247 = 247
name248 = 248
name249 = 249
name250 = 250
name251 = 251
name252 = 252
name253 = 253
name254 = 254
name255 = 255
name256 = 256
name257 = 257
name258 = 258
name259 = 259
name260 = 260
name261 = 261
name262 = 262
name263 = 263
name264 = 264
name265 = 265
name266 = 266
name267 = 267
name268 = 268
name269 = 269
name270 = 270
name271 = 271
name272 = 272
name273 = 273
name274 = 274
name275 = 275
name276 = 276
name277 = 277
name278 = 278
name279 = 279
name280 = 280
name281 = 281
name282 = 282
name283 = 283
name284 = 284
name285 = 285
name286 = 286
name287 = 287
name288 = 288
name289 = 289
name290 = 290
name291 = 291
name292 = 292
name293 = 293
name294 = 294
name295 = 295
name296 = 296
name297 = 297
name298 = 298
name299 = 299
print(sum((name0,
     name1,
     name2,
     name3,
     name4,
     name5,
     name6,
     name7,
     name8,
     name9,
     name10,
     name11,
     name12,
     name13,
     name14,
     name15,
     name16,
     name17,
     name18,
     name19,
     name20,
     name21,
     name22,
     name23,
     name24,
     name25,
     name26,
     name27,
     name28,
     name29,
     name30,
     name31,
     name32,
     name33,
     name34,
     name35,
     name36,
     name37,
     name38,
     name39,
     name40,
     name41,
     name42,
     name43,
     name44,
     name45,
     name46,
     name47,
     name48,
     name49,
     name50,
     name51,
     name52,
     name53,
     name54,
     name55,
     name56,
     name57,
     name58,
     name59,
     name60,
     name61,
     name62,
     name63,
     name64,
     name65,
     name66,
     name67,
     name68,
     name69,
     name70,
     name71,
     name72,
     name73,
     name74,
     name75,
     name76,
     name77,
     name78,
     name79,
     name80,
     name81,
     name82,
     name83,
     name84,
     name85,
     name86,
     name87,
     name88,
     name89,
     name90,
     name91,
     name92,
     name93,
     name94,
     name95,
     name96,
     name97,
     name98,
     name99,
     name100,
     name101,
     name102,
     name103,
     name104,
     name105,
     name106,
     name107,
     name108,
     name109,
     name110,
     name111,
     name112,
     name113,
     name114,
     name115,
     name116,
     name117,
     name118,
     name119,
     name120,
     name121,
     name122,
     name123,
     name124,
     name125,
     name126,
     name127,
     name128,
     name129,
     name130,
     name131,
     name132,
     name133,
     name134,
     name135,
     name136,
     name137,
     name138,
     name139,
     name140,
     name141,
     name142,
     name143,
     name144,
     name145,
     name146,
     name147,
     name148,
     name149,
     name150,
     name151,
     name152,
     name153,
     name154,
     name155,
     name156,
     name157,
     name158,
     name159,
     name160,
     name161,
     name162,
     name163,
     name164,
     name165,
     name166,
     name167,
     name168,
     name169,
     name170,
     name171,
     name172,
     name173,
     name174,
     name175,
     name176,
     name177,
     name178,
     name179,
     name180,
     name181,
     name182,
     name183,
     name184,
     name185,
     name186,
     name187,
     name188,
     name189,
     name190,
     name191,
     name192,
     name193,
     name194,
     name195,
     name196,
     name197,
     name198,
     name199,
     name200,
     name201,
     name202,
     name203,
     name204,
     name205,
     name206,
     name207,
     name208,
     name209,
     name210,
     name211,
     name212,
     name213,
     name214,
     name215,
     name216,
     name217,
     name218,
     name219,
     name220,
     name221,
     name222,
     name223,
     name224,
     name225,
     name226,
     name227,
     name228,
     name229,
     name230,
     name231,
     name232,
     name233,
     name234,
     name235,
     name236,
     name237,
     name238,
     name239,
     name240,
     name241,
     name242,
     name243,
     name244,
     name245,
     name246,
     name247,
     name248,
     name249,
     name250,
     name251,
     name252,
     name253,
     name254,
     name255,
     name256,
     name257,
     name258,
     name259,
     name260,
     name261,
     name262,
     name263,
     name264,
     name265,
     name266,
     name267,
     name268,
     name269,
     name270,
     name271,
     name272,
     name273,
     name274,
     name275,
     name276,
     name277,
     name278,
     name279,
     name280,
     name281,
     name282,
     name283,
     name284,
     name285,
     name286,
     name287,
     name288,
     name289,
     name290,
     name291,
     name292,
     name293,
     name294,
     name295,
     name296,
     name297,
     name298,
     name299)))
for name299 in range(2): name298 = name299
