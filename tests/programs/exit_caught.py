import sys

try:
    try:
        sys.exit("bye")
    finally:
        print("finally")
except SystemExit as leaving:
    print(leaving.code)
