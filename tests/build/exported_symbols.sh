#!/bin/sh
# Each shared library exports exactly what its public headers declare as STELE_API: libstele-testkit what
# stele/testkit.h does, libstele all the others.
set -u
# shellcheck source=tree.sh
. "$(dirname "$0")/tree.sh"

[ -e "$STELE_BUILD/.libs/libstele.so" ] || { echo "no shared library was built"; exit 77; }
: >"$scratch/differences"

exported() {
    "$NM" -D --defined-only "$1" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | LC_ALL=C sort -u
}

# The names declared in the headers on standard input. A declaration reaches from STELE_API to the semicolon; its name is
# what stands before the first parenthesis, or, of a variable, before the end.
declared() {
    code_of_files | sed 's/^[^:]*:[0-9]*://' | awk '
        continued || /^[ \t]*#/ { continued = /\\$/; next }
        /STELE_API/ { declaration = ""; open = 1 }
        open { declaration = declaration " " $0 }
        open && /;/ {
            open = 0
            if (match(declaration, /stele_[a-z0-9_]+ *\(/)) name = substr(declaration, RSTART, RLENGTH - 1)
            else { match(declaration, /stele_[a-z0-9_]+ *(\[[^]]*\])* *;/); name = substr(declaration, RSTART, RLENGTH - 1) }
            sub(/[ \[].*/, "", name)
            print name
        }' | LC_ALL=C sort -u
}

# check LIBRARY: compare what it exports with what the headers on standard input declare
check() {
    declared >"$scratch/declared"
    exported "$STELE_BUILD/.libs/$1.so" >"$scratch/exported"
    echo "$1: $(wc -l <"$scratch/declared") declared, $(wc -l <"$scratch/exported") exported"
    [ -s "$scratch/declared" ] || echo "$1: nothing is declared" >>"$scratch/differences"
    LC_ALL=C comm -23 "$scratch/declared" "$scratch/exported" | sed "s/^/$1: declared but not exported: /" >>"$scratch/differences"
    LC_ALL=C comm -13 "$scratch/declared" "$scratch/exported" | sed "s/^/$1: exported but not declared: /" >>"$scratch/differences"
}

c_files include | grep -v '/testkit\.h$' | check libstele
c_files include | grep '/testkit\.h$' | check libstele-testkit
cat "$scratch/differences"
[ ! -s "$scratch/differences" ]
