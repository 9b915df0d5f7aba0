if 0:
    print("never")
if 1:
    print("always")
if __debug__:
    print("debug")
if not 0:
    print("folded")
while 0:
    print("never")
