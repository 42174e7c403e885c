#!/bin/sh
# Lines of the library that the tests reached, by file and in all.
# usage: coverage.sh GCOV   in the build folder, after the tests
set -eu

folder=$(pwd)
find "$folder/lib" "$folder/stores" -name '*.gcno' 2>/dev/null | while read -r notes; do
    "$1" -n "$notes" 2>/dev/null
done | awk '
    /^File / { file = $2; gsub(/\047/, "", file); wanted = file ~ /\/(lib|stores)\/.*\.c$/ }
    wanted && /^Lines executed:/ {
        split($0, part, /[:% ]+/)
        percent = part[3]; lines = part[5]
        sub(/.*\/(lib|stores)\//, "&", file)
        printf "%6.2f %% of %5d  %s\n", percent, lines, file
        all += lines; reached += lines * percent / 100
        wanted = 0
    }
    END { if (all) printf "%6.2f %% of %5d  in all\n", 100 * reached / all, all }'
