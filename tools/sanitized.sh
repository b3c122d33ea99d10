#!/bin/sh
# sanitized.sh PYTHON LIBRARY [pytest's arguments] - the Python tests on an extension that was built with
# SANITIZE=address,undefined into LIBRARY. The interpreter itself is not instrumented, so the runtime is
# preloaded; leaks are judged by the tests' own counts, since the interpreter leaves memory of its own.
set -eu

python=$1
library=$(cd "$2" && pwd)
shift 2
runtime=$(${CC:-cc} -print-file-name=libasan.so)
[ -f "$runtime" ] || {
    echo "The address sanitizer's runtime (libasan.so) is missing: it comes with gcc" >&2
    exit 1
}
# glibc's own malloc hooks are the sanitizer's only if Python does not pool memory.
AIOREDLOCK_TEST_SERVERS=${AIOREDLOCK_TEST_SERVERS:-first} \
LD_PRELOAD=$runtime \
ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
UBSAN_OPTIONS=print_stacktrace=1 \
PYTHONMALLOC=malloc PYTHONSAFEPATH=1 PYTHONPATH=$library \
    "$python" -m pytest -m 'not exact' "$@"
