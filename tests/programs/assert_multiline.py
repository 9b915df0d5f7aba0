def check(a, b):  # 1
    assert (  # 0, from 3.12: 2
        a < b  # 3, from 3.12: 2, from 3.13: 3
    ), (  # 1
        "order",  # 1
        a,  # 1
        b,  # 1
    )
    return b - a  # 1


print(check(1, 3))  # 1
try:  # 1
    check(3, 1)  # 1
except AssertionError as error:  # 1
    print(error)  # 1
