def f():
	return 1

if f():
	print("tabs and a form feed")
