class Custom(Exception):
    def __init__(self, code):
        super().__init__(code)
        self.code = code

    def __str__(self):
        return f"code {self.code}"


try:
    raise Custom(4)
except Custom as error:
    print(error)
try:
    raise Custom
except TypeError as error:
    print("TypeError")
