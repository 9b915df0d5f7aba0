try:  # 1
    {}["missing"]  # 1
except:  # 1
    print("caught")  # 1
try:  # 1
    print("fine")  # 1
except:
    print("unreached")
