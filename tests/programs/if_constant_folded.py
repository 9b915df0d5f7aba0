if 0:  # 1
    print("never")
if 1:  # 1
    print("always")  # 1
if __debug__:  # 1
    print("debug")  # 1
if not 0:  # 1
    print("folded")  # 1
while 0:  # 1
    print("never")
