"""Settings of Sphinx. `make docs` builds the pages, with every warning an error."""

from __future__ import annotations

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# The extension of an editable build lies in the clone; an installed package is found without this line.
sys.path.insert(0, str(ROOT))


def _version() -> str:
    """The version as CHANGELOG.md's newest entry names it."""
    found = re.search(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    if found is None:
        raise RuntimeError("CHANGELOG.md names no version")
    return found.group(1)


project = "aioredlock_c"
author = "The aioredlock_c authors"
copyright = "2026, The aioredlock_c authors"
release = version = _version()

extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["requirements.txt"]
default_role = "code"
nitpicky = True
smartquotes = False

# The types of the standard library and of the clients have their own documents; the build fetches nothing.
nitpick_ignore_regex = [
    (r"py:.*", r"(asyncio|collections|contextlib|redis|types|typing|uuid|valkey)\..*"),
    (r"py:class", r"(Any|Self|TracebackType|Coroutine|Generator|Awaitable|UUID)"),
]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"

html_theme = "furo"
html_static_path = ["_static"]
html_title = f"aioredlock_c {release}"


def as_help_shows_it(
    app: object, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Sets a docstring as it stands: they are written for help(), in plain text, but for their last line."""
    text = [line for line in lines if not line.startswith(".. version")]
    marks = [line for line in lines if line.startswith(".. version")]
    lines[:] = [".. code-block:: text", "", *(f"   {line}" for line in text), "", *marks]


def setup(app: object) -> None:
    """Sphinx calls this."""
    app.connect("autodoc-process-docstring", as_help_shows_it)  # type: ignore[attr-defined]
