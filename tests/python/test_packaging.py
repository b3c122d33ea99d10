"""What is shipped, and what a build says on a machine that cannot build it."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import aioredlock_c

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = ("Debian", "Fedora", "Alpine", "Homebrew")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of what a build reads, so that nothing that was built before helps it."""
    copy = tmp_path / "tree"
    copy.mkdir()
    for name in ("setup.py", "pyproject.toml", "MANIFEST.in", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, copy / name)
    for name in ("src", "aioredlock_c"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return copy


def build(tree: Path, **environment: str) -> "subprocess.CompletedProcess[str]":
    switches = ("HIREDIS_DIR", "AIOREDLOCK_HIREDIS", "SANITIZE", "COVERAGE", "DEBUG", "LD_PRELOAD")
    clean = {name: value for name, value in os.environ.items() if name not in switches}
    return subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"],
        cwd=tree,
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def assert_one_clear_message(run: "subprocess.CompletedProcess[str]", reason: str) -> None:
    assert run.returncode == 1
    assert run.stderr.count("aioredlock_c cannot be built") == 1
    assert reason in run.stderr
    assert "Traceback" not in run.stderr
    for family in FAMILIES:
        assert family in run.stderr


def test_without_a_compiler(tree: Path) -> None:
    assert_one_clear_message(build(tree, CC="/nonexistent/cc"), "there is no C compiler")


def test_with_a_compiler_that_fails(tree: Path) -> None:
    assert_one_clear_message(build(tree, CC="false"), "the C compiler does not work")


def compiler_without(header: str, folder: Path) -> str:
    """A compiler for which `header` does not exist."""
    program = folder / "cc"
    program.write_text(
        f'#!/bin/sh\nfor f in "$@"; do case $f in *.c) if grep -q "{header}" "$f"; then\n'
        f'echo "fatal error: {header}: No such file or directory" >&2; exit 1; fi;; esac; done\n'
        'exec cc "$@"\n'
    )
    program.chmod(0o755)
    return str(program)


def test_without_pythons_headers(tree: Path, tmp_path: Path) -> None:
    run = build(tree, CC=compiler_without("Python.h", tmp_path))
    assert_one_clear_message(run, "Python's headers (Python.h) are missing")


def test_without_any_hiredis(tree: Path) -> None:
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull}
    run = build(tree, PKG_CONFIG="/nonexistent/pkg-config", **offline)
    assert_one_clear_message(run, "hiredis is missing")


def test_a_forced_system_hiredis_is_not_replaced(tree: Path) -> None:
    run = build(tree, PKG_CONFIG="/nonexistent/pkg-config", AIOREDLOCK_HIREDIS="system")
    assert_one_clear_message(run, "the system has no hiredis")


def test_a_wrong_hiredis_dir_is_named(tree: Path) -> None:
    assert_one_clear_message(build(tree, HIREDIS_DIR=str(tree)), f"HIREDIS_DIR={tree}")


def test_the_choice_of_hiredis_is_checked(tree: Path) -> None:
    run = build(tree, AIOREDLOCK_HIREDIS="brew")
    assert run.returncode != 0
    assert "'system' or 'pypi'" in run.stderr


def test_the_source_package_holds_what_a_build_reads(tree: Path) -> None:
    run = subprocess.run(
        [sys.executable, "setup.py", "--quiet", "sdist"],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    (archive,) = (tree / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as members:
        shipped = {str(Path(*Path(name).parts[1:])) for name in members.getnames()}
    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / "src").rglob("*.[ch]")}
    wanted |= {
        str(path.relative_to(ROOT)) for path in (ROOT / "aioredlock_c").glob("*.py*") if path.is_file()
    }
    wanted |= {"aioredlock_c/py.typed", "setup.py", "pyproject.toml", "LICENSE", "README.md"}
    assert wanted <= shipped
    assert not [name for name in shipped if "hiredis/" in name or name.endswith((".so", ".o"))]


def test_without_the_extension_the_import_says_what_to_do(tree: Path) -> None:
    program = f"import sys; sys.path.insert(0, {str(tree)!r}); import aioredlock_c"
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tree, timeout=60
    )
    assert run.returncode != 0
    last = run.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError") and "make build" in last


def test_the_package_is_typed() -> None:
    home = Path(aioredlock_c.__file__).parent
    assert (home / "py.typed").exists()
    assert (home / "_core.pyi").exists()


def test_metadata_agrees_with_the_project() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    match = re.search(r'^version = "([^"]+)"', project, re.MULTILINE)
    assert match is not None
    metadata = importlib.metadata.metadata("aioredlock-c")
    assert metadata["Version"] == match[1]
    assert metadata["Requires-Python"] == ">=3.10"
    assert f"## [{match[1]}]" in (ROOT / "CHANGELOG.md").read_text()
