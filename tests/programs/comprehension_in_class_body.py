class Table:
    rows = [n for n in range(3)]
    names = {n: str(n) for n in range(2)}
    lazy = list(n + 1 for n in range(2))
    pairs = [
        n
        for n in range(2)
    ]


print(Table.rows, Table.names, Table.lazy, Table.pairs)
