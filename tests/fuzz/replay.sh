#!/bin/sh
# Every fuzz target survives its corpus: each seed, its truncations and its
# versions with one byte changed (tests/support/fuzz_replay.c).
set -u

[ -n "$STELE_FUZZ_PROGRAMS" ] || { echo "there are no fuzz targets"; exit 77; }
status=0
for program in $STELE_FUZZ_PROGRAMS; do
    name=$(basename "$program" _fuzz)
    corpus=$STELE_SOURCE/tests/fuzz/corpus/$name
    if [ "${STELE_LIBFUZZER-no}" = yes ]; then
        "$STELE_BUILD/$program" -runs=0 "$corpus" || status=1
    else
        "$STELE_BUILD/$program" "$corpus" || status=1
    fi
done
exit $status
