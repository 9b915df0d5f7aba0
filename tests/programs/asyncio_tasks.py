import asyncio


async def worker(name, queue, results):
    while True:
        item = await queue.get()
        if item is None:
            break
        await asyncio.sleep(0)
        results.append((name, item))


async def main():
    queue, results = asyncio.Queue(), []
    workers = [asyncio.create_task(worker(name, queue, results)) for name in "ab"]
    for n in range(4):
        queue.put_nowait(n)
    for _ in workers:
        queue.put_nowait(None)
    await asyncio.gather(*workers)
    try:
        async with asyncio.timeout(None):
            await asyncio.sleep(0)
    finally:
        results.append("end")
    return sorted(map(str, results))


print(asyncio.run(main()))
