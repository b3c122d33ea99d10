"""Checks the table of docs/safety.rst: each fault has its line, and each test that a line names exists.

A test is named as path::name: a test function of pytest's, or in C a function that is run by cmocka.

    python tools/check_safety.py [ROOT]

Says what is wrong, a line each, and ends with 1 if anything is.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from pathlib import Path

# Every fault that has been thought of. One that is new gets its name here and its line there.
FAULTS = (
    "cancelled-acquire",
    "cancelled-release",
    "cut-before-reply",
    "blocked-loop",
    "loop-never-turns",
    "process-stopped",
    "renewals-fail",
    "key-gone",
    "renewal-races-release",
    "used-again",
    "servers-loops-threads",
    "fork",
    "loop-ends",
    "failover",
    "error-replies",
    "acl-in-script",
    "hostile-server",
    "many-cancelled",
    "callback-raises",
    "bad-arguments",
    "late-packets",
    "collected-while-held",
    "generator-holds",
)
TABLE = "docs/safety.rst"


def rows(text: str) -> dict[str, list[str]]:
    """The lines of the page's table: name of the fault -> the tests that it names."""
    found: dict[str, list[str]] = {}
    for block in re.split(r"^   \* - ", text, flags=re.MULTILINE)[1:]:
        name = re.match(r"``([a-z0-9-]+)``\n", block)
        if name:
            found.setdefault(name[1], []).extend(re.findall(r"``([^`\s]+::[^`\s]*)``", block))
    return found


def python_tests(source: str) -> set[str]:
    """The functions that pytest collects, those in an `if` of the module's too."""
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            names.add(node.name)
    return names


def c_tests(source: str) -> set[str]:
    """The functions of cmocka's shape that are also named in a list of tests."""
    defined = set(re.findall(r"^static void (\w+)\(void \*\*state\)", source, flags=re.MULTILINE))
    return defined & set(re.findall(r"\b(?:cmocka_unit_test\w*|TEST)\((\w+)", source))


@functools.cache
def tests_of(file: Path) -> set[str]:
    return (python_tests if file.suffix == ".py" else c_tests)(file.read_text())


def missing(test: str, root: Path) -> str:
    """Why there is no such test; empty where there is."""
    path, _, name = test.partition("::")
    file = root / path
    if not re.fullmatch(r"tests/[\w/]+/test_\w+\.(py|c)", path) or not file.is_file():
        return "there is no such file of tests"
    return "" if name in tests_of(file) else "there is no such test in that file"


def problems(text: str, root: Path) -> Iterator[str]:
    """What is wrong with the page, given its text and where the tests are."""
    table = rows(text)
    for name in FAULTS:
        if name not in table:
            yield f"{name}: no line in the table"
        elif not table[name]:
            yield f"{name}: no test is named"
    for name, tests in table.items():
        if name not in FAULTS:
            yield f"{name}: not in the list of faults ({Path(__file__).name})"
        for test in tests:
            if reason := missing(test, root):
                yield f"{name}: {test}: {reason}"


def main() -> int:
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1]
    found = list(problems((root / TABLE).read_text(), root))
    for problem in found:
        print(f"{TABLE}: {problem}", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
