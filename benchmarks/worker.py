"""A process that calls one function: arguments as JSON on stdin, the result as JSON on stdout's last line."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import sys


def main() -> None:
    module, _, name = sys.argv[1].partition(":")
    function = getattr(importlib.import_module(f"benchmarks.{module}"), name)
    result = function(**json.load(sys.stdin))
    if inspect.iscoroutine(result):
        result = asyncio.run(result)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
