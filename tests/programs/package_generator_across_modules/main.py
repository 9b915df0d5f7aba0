import source

g = source.ticks(3)
print(next(g))
for tick in g:
    print(tick)
print(source.use(n * 2 for n in range(3)))
try:
    source.fail()
except ValueError as error:
    place = error.__traceback__
    while place.tb_next:
        place = place.tb_next
    print(place.tb_lineno)
