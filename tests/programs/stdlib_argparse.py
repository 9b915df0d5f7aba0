import argparse

parser = argparse.ArgumentParser(prog="program")
parser.add_argument("name")
parser.add_argument("--number", type=int, default=1)
print(parser.parse_args(["x", "--number", "5"]))
try:
    parser.parse_args(["--number", "x", "y"])
except SystemExit as leaving:
    print(leaving.code)
