def f(*args, **named):  # 1
    return len(args) + len(named)  # 6


print(  # 2
    f(  # 2
        1,  # 1
        f(2),  # 1
        n=f(  # 2
            3,  # 1
            4,  # 1
        ),
    ),
)
f(1,  # 2
  2,  # 1
  3)  # 1
x = f(  # 1
)
print(f(1, *[  # 3
    2, 3  # 1
], **{  # 1
    "k": 1  # 1
}))
