import app.__main__

print(app.__main__.main(), __name__)
