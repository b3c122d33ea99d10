"""`python -m aioredlock_c demo`: watch locks being taken on a real server."""

from __future__ import annotations

import argparse
import sys

from . import demo


def main(arguments: list[str] | None = None) -> int:
    """Runs one command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m aioredlock_c", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    command = commands.add_parser(
        "demo",
        help="two processes with 20 tasks each count together under one lock",
        description="Two processes with 20 tasks each count to 10 in every task: read a counter, add one, "
        "write it back, under one lock. Without a lock counts would be lost. Then the same with redis-py's "
        "Lock. Without --url a server of its own is started for it and stopped afterwards.",
    )
    command.add_argument("--url", help="a server of yours, like redis://localhost/0; its keys are cleaned up")
    command.add_argument(
        "--times", type=demo.positive, default=10, metavar="N", help="how far each task counts (10)"
    )
    chosen = parser.parse_args(arguments)
    return demo.run(chosen.url, chosen.times)


if __name__ == "__main__":
    sys.exit(main())
