class Grid:
    def __init__(self):
        self.cells = {}

    def __getitem__(self, key):
        return self.cells.get(key, 0)

    def __setitem__(self, key, value):
        self.cells[key] = value

    def __delitem__(self, key):
        del self.cells[key]

    def __contains__(self, key):
        return key in self.cells

    def __len__(self):
        return len(self.cells)


grid = Grid()
grid[1, 2] = 5
grid[1, 2] += 1
print(grid[1, 2], grid[0, 0], (1, 2) in grid, len(grid))
print([grid[n, 2] for n in range(4)])
del grid[1, 2]
try:
    del grid[1, 2]
except KeyError:
    print("gone")
