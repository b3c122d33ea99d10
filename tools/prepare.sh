#!/bin/sh
# prepare.sh PYTHON WHAT... - sees to it that the machine has what `make` needs.
#
# WHAT: build (Python 3.10, its venv module and headers, a C compiler), test (cmocka), lint (gcc and clang).
# What is missing is installed with the machine's package manager when this runs as root; else one line
# to paste is printed and the exit status is 1. Nothing is installed when nothing is missing.
set -eu

python=$1
shift
cc=${CC:-cc}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
missing=

# compiles HEADER [FLAG...]: can a file that includes HEADER be compiled?
compiles()
{
    printf '#include <stdarg.h>\n#include <stddef.h>\n#include <stdint.h>\n#include <setjmp.h>\n' >"$scratch/a.c"
    printf '#include <%s>\nint main(void) { return 0; }\n' "$1" >>"$scratch/a.c"
    shift
    # shellcheck disable=SC2086 # CC may be words
    $cc "$@" -c "$scratch/a.c" -o "$scratch/a.o" >/dev/null 2>&1
}

runs()
{
    command -v "$1" >/dev/null 2>&1
}

# Fills $missing with words of ours: python venv headers compiler cmocka gcc clang.
look()
{
    missing=
    for what in "$@"; do
        case $what in
        build)
            runs "${cc%% *}" && compiles stdlib.h || missing="$missing compiler"
            if ! "$python" -c 'pass' >/dev/null 2>&1; then
                missing="$missing python venv headers"
                continue
            fi
            "$python" -c 'import venv, ensurepip' >/dev/null 2>&1 || missing="$missing venv"
            include=$("$python" -c 'import sysconfig; print(sysconfig.get_path("include"))')
            [ -f "$include/Python.h" ] || missing="$missing headers"
            ;;
        test)
            # shellcheck disable=SC2046 # flags are words
            compiles cmocka.h $(pkg-config --cflags cmocka 2>/dev/null || true) || missing="$missing cmocka"
            ;;
        lint)
            runs gcc || missing="$missing gcc"
            runs clang || missing="$missing clang"
            ;;
        esac
    done
}

# The package of a word of ours, for the package manager $manager. Debian has headers and venv for each version.
package()
{
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo 3)
    case $("$python" -c 'import sys; print(sys.base_prefix)' 2>/dev/null || echo /usr) in
    /usr) ;;
    *) version=3 ;;
    esac
    case $manager:$1 in
    apt-get:python) echo python3 ;;
    apt-get:venv) echo "python$version-venv" ;;
    apt-get:headers) echo "python$version-dev pkg-config libhiredis-dev" ;;
    apt-get:compiler) echo gcc libc6-dev ;;
    apt-get:cmocka) echo libcmocka-dev ;;
    dnf:python | dnf:venv) echo python3 ;;
    dnf:headers) echo python3-devel pkgconf-pkg-config hiredis-devel ;;
    dnf:cmocka) echo libcmocka-devel ;;
    apk:python | apk:venv) echo python3 ;;
    apk:headers) echo python3-dev pkgconf hiredis-dev ;;
    apk:compiler) echo gcc musl-dev ;;
    apk:cmocka) echo cmocka-dev ;;
    brew:python | brew:venv | brew:headers) echo python pkgconf hiredis ;;
    brew:cmocka) echo cmocka ;;
    brew:clang) echo llvm ;;
    *:compiler) echo gcc ;;
    *) echo "$1" ;;
    esac
}

# The command that installs the packages given.
install_line()
{
    case $manager in
    apt-get) echo "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $*" ;;
    dnf) echo "dnf install -y $*" ;;
    apk) echo "apk add $*" ;;
    brew) echo "brew install $*" ;;
    esac
}

if [ -n "${CC:-}" ] && ! runs "${CC%% *}"; then
    echo "CC=$CC: there is no such compiler" >&2
    exit 1
fi
look "$@"
if [ -n "$missing" ]; then
    manager=none
    for candidate in apt-get dnf apk brew; do
        if runs $candidate; then
            manager=$candidate
            break
        fi
    done
    if [ $manager = none ]; then
        echo "Missing on this machine:$missing. Install them and run make again." >&2
        exit 1
    fi
    packages=
    for word in $missing; do
        packages="$packages $(package "$word")"
    done
    packages=$(echo "$packages" | tr -s ' \n' '\n\n' | sort -u | tr '\n' ' ')
    # shellcheck disable=SC2086 # packages are words
    line=$(install_line $packages)
    if [ "$(id -u)" != 0 ] || [ $manager = brew ]; then
        echo "Missing on this machine:$missing. Paste this line (as root where it needs to be), then run make again:" >&2
        echo "    $line" >&2
        exit 1
    fi
    echo "Missing on this machine:$missing. Installing with $manager: $packages"
    sh -c "$line" >"$scratch/log" 2>&1 || {
        tail -n 20 "$scratch/log" >&2
        echo "This failed: $line" >&2
        exit 1
    }
    look "$@"
    if [ -n "$missing" ]; then
        echo "Still missing after \"$line\":$missing." >&2
        exit 1
    fi
fi

"$python" - <<'END'
import sys

if sys.version_info < (3, 10):
    sys.exit("Python 3.10 or newer is needed; this is %s (%s). Name another: make PYTHON=python3.12 ..."
             % (sys.version.split()[0], sys.executable))
END
