"""A process that contends for one key: `python -m benchmarks.traffic`.

The first line of stdin holds its arguments as JSON. Its tasks take the lock, hold it for `hold` seconds,
leave, and pause for `pause` seconds. When it is ready it prints `ready`; the next line of stdin is the
moment to start, on the clock that all processes of the machine share (CLOCK_MONOTONIC). It ends `seconds`
later or on SIGTERM, and prints its log as JSON: each hold as [entered, left], both before and after which
the lock was held, and how many tries came to nothing. With `announce` it prints `held <moment>` when it
first holds the lock.
"""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import time
from typing import Any

from benchmarks import locks


async def contend(
    kind: str,
    url: str,
    key: str,
    tasks: int,
    hold: float,
    pause: float,
    seconds: float,
    announce: bool = False,
) -> dict[str, Any]:
    """Runs the traffic; gives the log."""
    log: list[tuple[float, float]] = []
    gave_up = 0
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, over.set)

    async def user(make: locks.Make, end: float) -> None:
        nonlocal gave_up
        await asyncio.sleep(random.uniform(0, pause))
        while time.monotonic() < end and not over.is_set():
            async with make(key) as lock:
                if lock is None:
                    gave_up += 1
                    continue
                entered = time.monotonic()
                if announce and not log:
                    print("held", entered, flush=True)
                await asyncio.sleep(hold)
                log.append((entered, time.monotonic()))
            await asyncio.sleep(pause)

    async with locks.opened(kind, url, warm=min(tasks, 4)) as make:
        print("ready", flush=True)
        start = float(await loop.run_in_executor(None, sys.stdin.readline))
        await asyncio.sleep(start - time.monotonic())
        crowd = [asyncio.create_task(user(make, start + seconds)) for _ in range(tasks)]
        await asyncio.gather(*crowd)
    return {"log": log, "gave_up": gave_up}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(contend(**json.loads(sys.stdin.readline())))))
