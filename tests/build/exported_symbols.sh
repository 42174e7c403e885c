#!/bin/sh
# The shared library exports exactly what the public headers declare as STELE_API.
set -u
# shellcheck source=tree.sh
. "$(dirname "$0")/tree.sh"

library=$STELE_BUILD/.libs/libstele.so
[ -e "$library" ] || { echo "no shared library was built"; exit 77; }

"$NM" -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' |
    LC_ALL=C sort -u >"$scratch/exported"

# A declaration reaches from STELE_API to the semicolon; its name is what stands before the
# first parenthesis, or, of a variable, before the end.
c_files include | code_of_files | sed 's/^[^:]*:[0-9]*://' | awk '
    continued || /^[ \t]*#/ { continued = /\\$/; next }
    /STELE_API/ { declaration = ""; open = 1 }
    open { declaration = declaration " " $0 }
    open && /;/ {
        open = 0
        if (match(declaration, /stele_[a-z0-9_]+ *\(/)) name = substr(declaration, RSTART, RLENGTH - 1)
        else { match(declaration, /stele_[a-z0-9_]+ *(\[[^]]*\])* *;/); name = substr(declaration, RSTART, RLENGTH - 1) }
        sub(/[ \[].*/, "", name)
        print name
    }' | LC_ALL=C sort -u >"$scratch/declared"

echo "$(wc -l <"$scratch/declared") declared, $(wc -l <"$scratch/exported") exported"
LC_ALL=C comm -23 "$scratch/declared" "$scratch/exported" | sed 's/^/declared but not exported: /' >"$scratch/differences"
LC_ALL=C comm -13 "$scratch/declared" "$scratch/exported" | sed 's/^/exported but not declared: /' >>"$scratch/differences"
cat "$scratch/differences"
[ -s "$scratch/declared" ] && [ ! -s "$scratch/differences" ]
