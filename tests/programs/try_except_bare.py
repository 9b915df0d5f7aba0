try:
    {}["missing"]
except:
    print("caught")
try:
    print("fine")
except:
    print("unreached")
