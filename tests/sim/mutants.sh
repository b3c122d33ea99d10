#!/bin/sh
# Plants each mutant of tests/sim/mutants in a copy of src/core and lets the simulator find it; shows by which
# judge. Run from the root; fails where one survives.
#
#   sh tests/sim/mutants.sh [SCHEDULES [NAME...]]

schedules=${1:-200000}
[ $# -gt 0 ] && shift
out=build/mutants
survivors=0
caught=0
started=$(date +%s)
[ $# -gt 0 ] || set -- $(cd tests/sim/mutants && ls ./*.patch | sed 's|^\./||; s|\.patch$||')

for name in "$@"; do
    rm -rf "$out/$name"
    mkdir -p "$out/$name/src"
    cp -R src/core "$out/$name/src/core"
    if ! patch -s -d "$out/$name" -p1 <"tests/sim/mutants/$name.patch" ||
        ! make -s -f tests/sim/Makefile build CORE="$out/$name/src" OUT="$out/$name/build"; then
        echo "$name: cannot be planted"
        exit 2
    fi
    "$out/$name/build/sim" -n "$schedules" >"$out/$name.log" 2>&1
    code=$?
    if [ $code -eq 0 ]; then
        survivors=$((survivors + 1))
        printf '%-32s SURVIVED %s schedules\n' "$name" "$schedules"
    elif [ $code -eq 1 ]; then
        caught=$((caught + 1))
        printf '%-32s %-9s %s\n' "$name" "$(sed -n 's/^seed.* judge \([a-z]*\):.*/\1/p' "$out/$name.log")" \
            "$(sed -n 's/^\(seed [0-9]* [a-z]* [a-z]*\).*judge [a-z]*: \(.*\)/\1: \2/p' "$out/$name.log")"
    else
        printf '%-32s crashed (%s)\n' "$name" "$code"
        survivors=$((survivors + 1))
    fi
done
echo "$caught caught, $survivors not; $(($(date +%s) - started)) s"
[ $survivors -eq 0 ]
