import asyncio


async def ticks():
    n = 0
    try:
        while True:
            yield n
            n += 1
            await asyncio.sleep(0)
    finally:
        print("ticks closed")


async def main():
    async for n in ticks():
        if n == 2:
            break
    print("broke", n)


asyncio.run(main())
print("end")
