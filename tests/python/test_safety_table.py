"""The table of docs/safety.rst names for each fault tests that show it: tools/check_safety.py sees to it."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools/check_safety.py"
TEXT = (ROOT / "docs/safety.rst").read_text()

spec = importlib.util.spec_from_file_location("check_safety", SCRIPT)
assert spec is not None and spec.loader is not None
check_safety = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check_safety)


def problems(text: str) -> list[str]:
    return list(check_safety.problems(text, ROOT))


def test_every_fault_has_a_test_that_exists() -> None:
    assert problems(TEXT) == []
    table = check_safety.rows(TEXT)
    assert list(table) == list(check_safety.FAULTS)
    assert sum(map(len, table.values())) > 2 * len(table)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("::test_cancelled_twice", "::test_cancelled_thrice", "no such test"),
        (
            "test_cancellation.py::test_cancelled_twice",
            "test_cancelling.py::test_cancelled_twice",
            "no such file",
        ),
        (
            "``tests/core/test_resp_parse.c::test_caps``",
            "``tests/core/test_resp_parse.c::set_up``",
            "no such test",
        ),
        ("``tests/core/test_resp_parse.c::test_caps``", "``src/core/hold.c::hold_grant``", "no such file"),
        ("   * - ``failover``", "   * - ``fail-over``", "failover: no line"),
        ("   * - ``failover``", "   * - ``fail-over``", "fail-over: not in the list"),
        ("test_generator", "test_generator", ""),
    ],
)
def test_a_broken_line_is_seen(old: str, new: str, told: str) -> None:
    found = problems(TEXT.replace(old, new))
    assert any(told in problem for problem in found) is bool(told), found


@pytest.mark.parametrize("name", check_safety.FAULTS)
def test_a_line_without_tests_is_seen(name: str) -> None:
    head, _, rest = TEXT.partition(f"   * - ``{name}``")
    line, star, tail = rest.partition("\n   * - ")
    bare = line.replace("::", ":") if star else rest.replace("::", ":")
    assert f"{name}: no test is named" in problems(f"{head}   * - ``{name}``{bare}{star}{tail}")


def test_what_is_no_test_is_not_taken_for_one() -> None:
    python = "def helper():\n def test_inner(): pass\nif True:\n    def test_there(): pass\nclass A: pass\n"
    assert check_safety.python_tests(python) >= {"test_there"} and "helper" not in check_safety.python_tests(
        python
    )
    c = "static void a(void **state)\n{}\nstatic void b(void **state)\n{}\n        cmocka_unit_test(a),\n"
    assert check_safety.c_tests(c) == {"a"}


def test_the_script_ends_with_what_it_found(tmp_path: Path) -> None:
    assert subprocess.run([sys.executable, SCRIPT, ROOT]).returncode == 0
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/safety.rst").write_text(TEXT)
    done = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True)
    assert done.returncode == 1
    assert (
        "cancelled-release: tests/python/test_cancellation.py::test_cancelled_twice: there is no"
        in done.stderr
    )
