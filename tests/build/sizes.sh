#!/bin/sh
# No file over 1,000 lines, no function of the library and the programs over 100.
set -u
# shellcheck source=tree.sh
. "$(dirname "$0")/tree.sh"

c_files include lib stores projections testkit tools examples bench tests | xargs wc -l |
    awk '$2 != "total" && $1 > 1000 { print $2 ": " $1 " lines" }' >"$scratch/faults"

if ctags --version 2>/dev/null | grep -q Universal; then
    c_files lib stores projections testkit tools examples bench | ctags -L - --kinds-c=f --fields=+ne -f - 2>/dev/null |
        awk -F'\t' '{
            for (i = 4; i <= NF; i++) {
                if ($i ~ /^line:/) start = substr($i, 6)
                if ($i ~ /^end:/) end = substr($i, 5)
            }
            print end - start + 1, $2 ":" start, $1
        }' | sort -n >"$scratch/functions"
    awk '$1 > 100 { print $2 ": " $3 " has " $1 " lines" }' "$scratch/functions" >>"$scratch/faults"
    awk '{ size[NR] = $1 } END { if (NR) printf "%d functions: median %d lines, 95th percentile %d, longest %d\n",
        NR, size[int((NR + 1) / 2)], size[int(NR * 0.95 + 0.5)], size[NR] }' "$scratch/functions"
else
    echo "functions not measured: no universal-ctags"
fi
cat "$scratch/faults"
[ ! -s "$scratch/faults" ]
