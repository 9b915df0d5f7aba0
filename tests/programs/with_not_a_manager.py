try:
    with 5:
        print("never")
except (TypeError, AttributeError):
    print("not a manager")
