#!/bin/sh
# The small programs of examples/bus print what is written beside them: with threads, and in the order of many seeds.
set -u
examples=$STELE_BUILD/examples/bus
expected=$STELE_SOURCE/examples/bus
[ -f "$examples/etl" ] || exit 77
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failures=0

# prints NAME [OPTION...]: the program ends well and its output is the expected one
prints() {
    name=$1
    shift
    if ! "$examples/$name" "$@" >"$folder/output" 2>"$folder/errors"; then
        echo "$name $*: failed"
        head -n 5 "$folder/errors"
        return 1
    fi
    diff "$expected/$name.expected" "$folder/output" || { echo "$name $*: differs"; return 1; }
}

with_threads() {
    for _ in 1 2 3 4 5; do
        prints "$1" || return 1
    done
}

in_the_order_of_a_seed() {
    for seed in 1 2 3 5 8 13 21 34 55 89; do
        prints "$1" --simulated $seed || return 1
    done
}

# check FUNCTION NAME: run a test
check() {
    echo "[ RUN      ] $2_$1"
    if "$1" "$2"; then
        echo "[       OK ] $2_$1"
    else
        echo "[  FAILED  ] $2_$1"
        failures=$((failures + 1))
    fi
}

echo "[==========] Running the examples of the bus."
for file in "$expected"/*.expected; do
    name=$(basename "$file" .expected)
    check with_threads "$name"
    check in_the_order_of_a_seed "$name"
done
[ "$failures" -eq 0 ]
