#!/bin/sh
# Every public header compiles alone and twice in one file, as C11 and as C++17, and is installed.
set -u
# shellcheck source=tree.sh
. "$(dirname "$0")/tree.sh"

status=0
for header in $(public_headers); do
    printf '#include <%s>\n#include <%s>\nint main(void);\n' "$header" "$header" >"$scratch/alone.c"
    "$CC" -std=c11 -pedantic -Wall -Wextra -Wundef -Wstrict-prototypes -Werror -Iinclude -fsyntax-only "$scratch/alone.c" ||
        { echo "$header does not stand alone as C11"; status=1; }
    if [ -n "$CXX" ]; then
        cp "$scratch/alone.c" "$scratch/alone.cc"
        "$CXX" -std=c++17 -pedantic -Wall -Wextra -Wundef -Werror -Iinclude -fsyntax-only "$scratch/alone.cc" ||
            { echo "$header does not stand alone as C++17"; status=1; }
    fi
    grep -q "include/$header\\b" include/local.mk || { echo "$header is not installed: see include/local.mk"; status=1; }
done
echo "$(public_headers | wc -l) headers as C11$([ -n "$CXX" ] && echo ' and C++17')"
exit $status
