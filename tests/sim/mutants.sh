#!/bin/sh
# Plants each mutant of tests/sim/mutants in a copy of src/core and lets the simulator find it; shows by which
# judge, at which seed, and which judges find it when they judge alone. As many at a time as there are cores.
# Run from the root; fails where one survives.
#
#   sh tests/sim/mutants.sh [-n SCHEDULES] [-a SCHEDULES_ALONE] [NAME...]

schedules=200000
alone=4000
one=
while getopts n:a:1: option; do
    case $option in
    n) schedules=$OPTARG ;;
    a) alone=$OPTARG ;;
    1) one=$OPTARG ;; # used by this script itself
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
out=build/mutants

# Which judges find the mutant alone, each with the first seed: "register 812, belief 25".
by_itself()
{
    for judge in register belief wire liveness; do
        [ "$alone" -gt 0 ] && "$out/$1/build/sim" -n "$alone" -j "$judge" 2>/dev/null |
            sed -n "s/^seed \([0-9]*\) .*judge $judge:.*/$judge \1/p" | head -n 1
    done 2>/dev/null | paste -s -d , | sed 's/,/, /g'
}

# Prints one line: caught, survived or crashed.
hunt()
{
    rm -rf "${out:?}/$1"
    mkdir -p "$out/$1/src"
    cp -R src/core "$out/$1/src/core"
    if ! patch -s -d "$out/$1" -p1 <"tests/sim/mutants/$1.patch" >"$out/$1.log" 2>&1 ||
        ! make -s -f tests/sim/Makefile "$out/$1/build/sim" CORE="$out/$1/src" OUT="$out/$1/build" >>"$out/$1.log" 2>&1; then
        printf '%-32s CANNOT BE PLANTED, see %s\n' "$1" "$out/$1.log"
        return
    fi
    "$out/$1/build/sim" -n "$schedules" >"$out/$1.log" 2>&1
    case $? in
    0) printf '%-32s SURVIVED %s schedules\n' "$1" "$schedules" ;;
    1) printf '%-32s caught by %-9s alone: %s\n%32s %s\n' "$1" \
        "$(sed -n 's/^seed.* judge \([a-z]*\):.*/\1/p' "$out/$1.log" | head -n 1)" "$(by_itself "$1")" '' \
        "$(sed -n 's/^\(seed [0-9]* [a-z]* [a-z]*\).*judge [a-z]*: \(.*\)/\1: \2/p' "$out/$1.log" | head -n 1)" ;;
    *) printf '%-32s CRASHED the simulator, see %s\n' "$1" "$out/$1.log" ;;
    esac
}

if [ -n "$one" ]; then
    hunt "$one"
    exit
fi

started=$(date +%s)
mkdir -p "$out"
[ $# -gt 0 ] || set -- $(cd tests/sim/mutants && ls ./*.patch | sed 's|^\./||; s|\.patch$||')
printf '%s\n' "$@" | xargs -P "$(getconf _NPROCESSORS_ONLN)" -I '{}' \
    sh tests/sim/mutants.sh -n "$schedules" -a "$alone" -1 '{}' | tee "$out/all.log"
caught=$(grep -c ' caught by ' "$out/all.log")
echo "$caught of $# mutants caught; $(($(date +%s) - started)) s"
[ "$caught" -eq $# ]
