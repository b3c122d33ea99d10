"""Builds aioredlock_c._core from src/ and finds the hiredis it is linked with.

Switches, all by environment:

    HIREDIS_DIR=path               hiredis from a prefix (include/hiredis, lib) or from a source tree
    AIOREDLOCK_HIREDIS=system|pypi no other hiredis than the system's, or than PyPI's
    DEBUG=1                        no optimisation, assertions on
    SANITIZE=address,undefined     with these sanitizers, assertions on
    COVERAGE=1                     instrumented for gcov
    WERROR=1                       warnings are errors

`python setup.py hiredis` finds (or builds) hiredis alone and writes how to use it to build/hiredis.mk,
for the tests in C. Objects are kept under build/, one folder for each set of flags, and compiled again only
when their source, a header or this file is newer.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext as _build_ext

ROOT = Path(__file__).resolve().parent
BUILD = ROOT / "build"
FLOORS = ("core", "resp", "watchdog", "python")

# The source package of PyPI that carries the whole C library (hiredis 1.5.0), and what it must hash to.
HIREDIS_VERSION = "3.5.0"
HIREDIS_SHA256 = "c227592cc56b7df247abe4755c26723965be68972be2149fa441ac33d82131ba"
HIREDIS_SOURCES = ("alloc.c", "async.c", "hiredis.c", "net.c", "read.c", "sds.c", "sockcompat.c")

PACKAGES = """\
    Debian, Ubuntu   apt-get install gcc python3-dev pkg-config libhiredis-dev
    Fedora           dnf install gcc python3-devel pkgconf-pkg-config hiredis-devel
    Alpine           apk add gcc musl-dev python3-dev pkgconf hiredis-dev
    macOS, Homebrew  xcode-select --install; brew install python pkgconf hiredis
"""


def give_up(missing: str, detail: str = "") -> SystemExit:
    """The one message for a machine on which the module cannot be built."""
    said = "".join(f"    {line}\n" for line in detail.strip().splitlines()[-6:])
    return SystemExit(
        f"\naioredlock_c cannot be built: {missing}.\n"
        + (f"What was said:\n{said}" if said else "")
        + f"These packages bring all that a build needs:\n{PACKAGES}"
    )


def switched_on(name: str) -> bool:
    return os.environ.get(name, "") not in ("", "0")


def compile_flags() -> list[str]:
    flags = ["-std=c11", "-fvisibility=hidden", "-Wall", "-Wextra"]
    if switched_on("WERROR"):
        flags += ["-Werror"]
    if switched_on("DEBUG"):
        return [*flags, "-O0", "-g3", "-UNDEBUG"]
    if switched_on("COVERAGE"):
        return [*flags, "-O0", "-g", "-UNDEBUG", "--coverage"]
    if sanitizers := os.environ.get("SANITIZE"):
        flags += ["-O1", "-g", "-UNDEBUG", "-fno-omit-frame-pointer"]
        return [*flags, f"-fsanitize={sanitizers}", "-fno-sanitize-recover=all"]
    return [*flags, "-O3", "-g"]


def link_flags() -> list[str]:
    flags = ["-pthread"]
    if switched_on("COVERAGE"):
        return [*flags, "--coverage"]
    if sanitizers := os.environ.get("SANITIZE"):
        return [*flags, f"-fsanitize={sanitizers}"]
    return flags


@dataclass
class Hiredis:
    """A hiredis to compile and link with; `licence` where its code becomes part of ours."""

    origin: str
    include_dirs: list[str]
    link_args: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    licence: Path | None = None


class Toolchain:
    """The compiler as the interpreter was told to use it, asked directly so that its complaints stay ours."""

    def __init__(self, compiler: Any) -> None:
        self.command: list[str] = list(compiler.compiler_so)
        self.include_dirs: list[str] = list(compiler.include_dirs)

    def complaint(self, text: str, include_dirs: list[str]) -> str | None:
        """What the compiler has against `text`; None when it compiles. OSError where there is none."""
        with tempfile.TemporaryDirectory() as scratch:
            source = Path(scratch, "probe.c")
            source.write_text(text)
            includes = [f"-I{path}" for path in [*include_dirs, *self.include_dirs]]
            command = [*self.command, *includes, "-c", str(source), "-o", str(source.with_suffix(".o"))]
            run = subprocess.run(command, capture_output=True, text=True)
            return None if run.returncode == 0 else (run.stderr or f"{self.command[0]} failed")

    def check(self) -> None:
        """Stops with the one message where there is no compiler or no Python.h."""
        try:
            complaint = self.complaint("int main(void) { return 0; }\n", [])
        except OSError as error:
            raise give_up("there is no C compiler", str(error)) from None
        if complaint is not None:
            raise give_up("the C compiler does not work", complaint)
        complaint = self.complaint("#include <Python.h>\nint main(void) { return 0; }\n", [])
        if complaint is not None:
            raise give_up("Python's headers (Python.h) are missing", complaint)

    def has_hiredis(self, include_dirs: list[str]) -> bool:
        text = "#include <hiredis/hiredis.h>\nint main(void) { return 0; }\n"
        return self.complaint(text, include_dirs) is None

    def compile_hiredis(self, home: Path, origin: str) -> Hiredis:
        """Compiles the sources in home/hiredis, once for each compiler."""
        key = hashlib.sha256(" ".join(self.command).encode()).hexdigest()[:12]
        objects = []
        for source in (home / "hiredis" / name for name in HIREDIS_SOURCES):
            if not source.exists():  # hiredis before 1.0 has fewer files
                continue
            target = home / f"objects-{key}" / f"{source.stem}.o"
            target.parent.mkdir(exist_ok=True)
            objects.append(str(target))
            if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
                continue
            command = [*self.command, "-O2", "-fPIC", "-fvisibility=hidden", "-w", "-c", str(source)]
            run = subprocess.run([*command, "-o", str(target)], capture_output=True, text=True)
            if run.returncode != 0:
                raise give_up(f"hiredis ({origin}) does not compile", run.stderr)
        return Hiredis(origin, [str(home)], objects=objects, licence=home / "hiredis" / "COPYING")


def find_hiredis(tools: Toolchain) -> Hiredis:
    """HIREDIS_DIR, else the system's, else PyPI's; AIOREDLOCK_HIREDIS allows only one of the latter two."""
    only = os.environ.get("AIOREDLOCK_HIREDIS", "")
    if only not in ("", "system", "pypi"):
        raise SystemExit(f"AIOREDLOCK_HIREDIS must be 'system' or 'pypi', not {only!r}")
    if place := os.environ.get("HIREDIS_DIR"):
        return hiredis_at(tools, Path(place).resolve())
    if only != "pypi":
        found = system_hiredis(tools)
        if found is not None:
            return found
    if only == "system":
        raise give_up("the system has no hiredis that pkg-config knows (AIOREDLOCK_HIREDIS=system)")
    home = BUILD / f"hiredis-{HIREDIS_VERSION}"
    if not (home / "hiredis" / "hiredis.c").exists():
        download_hiredis(home)
    return tools.compile_hiredis(home, f"PyPI's hiredis {HIREDIS_VERSION}")


def hiredis_at(tools: Toolchain, place: Path) -> Hiredis:
    """The hiredis of HIREDIS_DIR: an installed prefix or a source tree."""
    if (place / "include" / "hiredis" / "hiredis.h").exists():
        libraries = [place / name for name in ("lib", "lib64") if (place / name).is_dir()]
        link = [flag for path in libraries for flag in (f"-L{path}", f"-Wl,-rpath,{path}")]
        return Hiredis(str(place), [str(place / "include")], [*link, "-lhiredis"])
    if (place / "hiredis.c").exists():
        key = hashlib.sha256(str(place).encode()).hexdigest()[:12]
        home = BUILD / f"hiredis-{key}"
        files = [*place.glob("*.c"), *place.glob("*.h"), *place.glob("COPYING")]
        (home / "hiredis").mkdir(parents=True, exist_ok=True)
        for path in files:  # a folder of the name that `#include <hiredis/...>` asks for
            shutil.copy2(path, home / "hiredis" / path.name)
        return tools.compile_hiredis(home, str(place))
    raise give_up(f"HIREDIS_DIR={place} is neither a prefix with include/hiredis nor hiredis' sources")


def system_hiredis(tools: Toolchain) -> Hiredis | None:
    pkg_config = os.environ.get("PKG_CONFIG", "pkg-config")
    try:
        ask = [pkg_config, "hiredis", "--cflags", "--libs"]
        run = subprocess.run(ask, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    flags = run.stdout.split()
    # Some pkg-config files name .../include/hiredis, some its parent; `<hiredis/...>` wants the parent.
    named = [Path(flag[2:]) for flag in flags if flag.startswith("-I")]
    wanted = [str(path.parent if path.name == "hiredis" else path) for path in named]
    include_dirs = [path for path in dict.fromkeys(wanted) if path != "/usr/include"]
    if not tools.has_hiredis(include_dirs):
        return None
    return Hiredis("the system's hiredis", include_dirs, [f for f in flags if f[:2] in ("-L", "-l", "-W")])


def download_hiredis(home: Path) -> None:
    """Lets pip fetch the pinned source package and check its hash; unpacks the C library to home/hiredis."""
    BUILD.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        pins = Path(scratch, "requirements.txt")
        pins.write_text(f"hiredis=={HIREDIS_VERSION} --hash=sha256:{HIREDIS_SHA256}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        command += ["--no-deps", "--no-binary", "hiredis", "--no-build-isolation", "--require-hashes"]
        command += ["--dest", scratch, "--requirement", str(pins)]
        bent = ("PIP_REQUIRE_VIRTUALENV", "PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ONLY_BINARY")
        environment = {name: value for name, value in os.environ.items() if name not in bent}
        run = subprocess.run(command, capture_output=True, text=True, env=environment)
        archives = list(Path(scratch).glob("hiredis-*.tar.gz"))
        if run.returncode != 0 or not archives:
            raise give_up(
                "hiredis is missing: the system has none, and PyPI's sources could not be had", run.stderr
            )
        unpacked = Path(scratch, "hiredis")
        unpacked.mkdir()
        with tarfile.open(archives[0]) as archive:
            for member in archive.getmembers():
                name = Path(member.name)
                if member.isfile() and name.parent == Path(f"hiredis-{HIREDIS_VERSION}/vendor/hiredis"):
                    content = archive.extractfile(member)
                    assert content is not None  # a regular file has one
                    (unpacked / name.name).write_bytes(content.read())
        home.mkdir(exist_ok=True)
        shutil.rmtree(home / "hiredis", ignore_errors=True)
        unpacked.rename(home / "hiredis")


class build_ext(_build_ext):  # noqa: N801 - the command's name
    """Compiles in parallel and only what changed; stops with one clear message where something is missing."""

    compiler: Any

    def build_extensions(self) -> None:
        tools = Toolchain(self.compiler)
        tools.check()
        hiredis = find_hiredis(tools)
        print(f"aioredlock_c: linked with {hiredis.origin}")
        (extension,) = self.extensions
        extension.include_dirs += hiredis.include_dirs
        extension.extra_objects += hiredis.objects
        extension.extra_link_args += hiredis.link_args
        flags = [*tools.command, *extension.extra_compile_args, *extension.include_dirs, *tools.include_dirs]
        key = hashlib.sha256(" ".join(flags).encode()).hexdigest()[:12]
        self.build_temp = os.path.relpath(BUILD / f"objects-{sys.implementation.cache_tag}-{key}")
        self.force = True  # whether an object is fresh is decided by compile_stale; linking costs little
        self.compile_all = self.compiler.compile
        self.compiler.compile = self.compile_stale
        super().build_extensions()
        if hiredis.licence is not None and not self.inplace:
            shutil.copy(hiredis.licence, Path(self.build_lib, "aioredlock_c", "LICENSE.hiredis"))

    def compile_stale(self, sources: list[str], **how: Any) -> list[str]:
        """Compiles those sources whose object is older than source, headers or this file."""
        objects: list[str] = self.compiler.object_filenames(sources, output_dir=how["output_dir"])
        shared = max(Path(path).stat().st_mtime for path in [__file__, *how["depends"]])
        stale = [
            source
            for source, target in zip(sources, objects, strict=True)
            if not os.path.exists(target)
            or os.path.getmtime(target) <= max(shared, os.path.getmtime(source))
        ]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(lambda source: self.compile_all([source], **how), stale))
        return objects


class hiredis(build_ext):  # noqa: N801 - the command's name
    """Finds hiredis and writes build/hiredis.mk; builds nothing of ours."""

    def build_extensions(self) -> None:
        tools = Toolchain(self.compiler)
        tools.check()
        found = find_hiredis(tools)
        BUILD.mkdir(exist_ok=True)
        includes = " ".join(f"-I{path}" for path in found.include_dirs)
        libraries = " ".join([*found.objects, *found.link_args])
        (BUILD / "hiredis.mk").write_text(
            f"# {found.origin}\nHIREDIS_CFLAGS := {includes}\nHIREDIS_LIBS := {libraries}\n"
        )


if os.name == "nt":
    raise SystemExit("aioredlock_c does not support Windows.")

os.chdir(ROOT)
setup(
    cmdclass={"build_ext": build_ext, "hiredis": hiredis},
    ext_modules=[
        Extension(
            "aioredlock_c._core",
            sources=sorted(str(path) for floor in FLOORS for path in Path("src", floor).glob("*.c")),
            depends=sorted(str(path) for floor in FLOORS for path in Path("src", floor).glob("*.h")),
            include_dirs=["src"],
            extra_compile_args=compile_flags(),
            extra_link_args=link_flags(),
        )
    ],
)
