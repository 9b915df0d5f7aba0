def f(n):
    match n:
        case [0, *_]:
            return 0
        case 1:
            return 1
        case 2:
            return 2
        case [3, *_]:
            return 3
        case 4:
            return 4
        case 5:
            return 5
        case [6, *_]:
            return 6
        case 7:
            return 7
        case 8:
            return 8
        case [9, *_]:
            return 9
        case 10:
            return 10
        case 11:
            return 11
        case [12, *_]:
            return 12
        case 13:
            return 13
        case 14:
            return 14
        case [15, *_]:
            return 15
        case 16:
            return 16
        case 17:
            return 17
        case [18, *_]:
            return 18
        case 19:
            return 19
        case 20:
            return 20
        case [21, *_]:
            return 21
        case 22:
            return 22
        case 23:
            return 23
        case [24, *_]:
            return 24
        case 25:
            return 25
        case 26:
            return 26
        case [27, *_]:
            return 27
        case 28:
            return 28
        case 29:
            return 29
        case [30, *_]:
            return 30
        case 31:
            return 31
        case 32:
            return 32
        case [33, *_]:
            return 33
        case 34:
            return 34
        case 35:
            return 35
        case [36, *_]:
            return 36
        case 37:
            return 37
        case 38:
            return 38
        case [39, *_]:
            return 39
        case 40:
            return 40
        case 41:
            return 41
        case [42, *_]:
            return 42
        case 43:
            return 43
        case 44:
            return 44
        case [45, *_]:
            return 45
        case 46:
            return 46
        case 47:
            return 47
        case [48, *_]:
            return 48
        case 49:
            return 49
        case 50:
            return 50
        case [51, *_]:
            return 51
        case 52:
            return 52
        case 53:
            return 53
        case [54, *_]:
            return 54
        case 55:
            return 55
        case 56:
            return 56
        case [57, *_]:
            return 57
        case 58:
            return 58
        case 59:
            return 59
        case [60, *_]:
            return 60
        case 61:
            return 61
        case 62:
            return 62
        case [63, *_]:
            return 63
        case 64:
            return 64
        case 65:
            return 65
        case [66, *_]:
            return 66
        case 67:
            return 67
        case 68:
            return 68
        case [69, *_]:
            return 69
        case 70:
            return 70
        case 71:
            return 71
        case [72, *_]:
            return 72
        case 73:
            return 73
        case 74:
            return 74
        case [75, *_]:
            return 75
        case 76:
            return 76
        case 77:
            return 77
        case [78, *_]:
            return 78
        case 79:
            return 79
        case 80:
            return 80
        case [81, *_]:
            return 81
        case 82:
            return 82
        case 83:
            return 83
        case [84, *_]:
            return 84
        case 85:
            return 85
        case 86:
            return 86
        case [87, *_]:
            return 87
        case 88:
            return 88
        case 89:
            return 89
        case [90, *_]:
            return 90
        case 91:
            return 91
        case 92:
            return 92
        case [93, *_]:
            return 93
        case 94:
            return 94
        case 95:
            return 95
        case [96, *_]:
            return 96
        case 97:
            return 97
        case 98:
            return 98
        case [99, *_]:
            return 99
    return None


print(f(1), f([99, 1]), f(98), f(100))
