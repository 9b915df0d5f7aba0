import asyncio


async def forever():
    try:
        while True:
            await asyncio.sleep(0)
    except asyncio.CancelledError:
        print("cancelled")
        raise
    finally:
        print("finally")


async def main():
    task = asyncio.create_task(forever())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("seen")
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            group.create_task(forever())
    except* ValueError as errors:
        print(len(errors.exceptions))


async def fail():
    await asyncio.sleep(0)
    raise ValueError


asyncio.run(main())
