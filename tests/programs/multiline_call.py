def f(*args, **named):
    return len(args) + len(named)


print(
    f(
        1,
        f(2),
        n=f(
            3,
            4,
        ),
    ),
)
f(1,
  2,
  3)
x = f(
)
print(f(1, *[
    2, 3
], **{
    "k": 1
}))
