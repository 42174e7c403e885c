#!/bin/sh
# What `make install` puts down is enough: a program of somebody else finds the
# headers and the library through pkg-config, shared and static, and runs.
set -u
# shellcheck source=tree.sh
. "$(dirname "$0")/tree.sh"

command -v pkg-config >/dev/null || { echo "there is no pkg-config"; exit 77; }
[ "${STELE_SANITIZERS:-no}" = no ] || { echo "a sanitized library is not for installing"; exit 77; }
root=$scratch/root
# The make that runs this test must not lend its options to the one below.
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR
make -C "$STELE_BUILD" install DESTDIR="$root" >"$scratch/log" 2>&1 || { tail "$scratch/log"; exit 1; }

pc=$(find "$root" -name stele.pc)
[ -n "$pc" ] || { echo "stele.pc is not installed"; exit 1; }
PKG_CONFIG_PATH=$(dirname "$pc")${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}
export PKG_CONFIG_PATH
prefix=$root$(sed -n 's/^prefix=//p' "$pc")

public_headers | while read -r header; do
    find "$root" -path "*/include/$header" | grep -q . || echo "$header is not installed" | tee -a "$scratch/faults"
    echo "#include <$header>"
done >"$scratch/program.c"
cat >>"$scratch/program.c" <<'END'
#include <stdio.h>
int main(void)
{
    puts(stele_version());
    return 0;
}
END

# runs KIND FLAGS: compile the program with pkg-config's flags, run it
runs() {
    # shellcheck disable=SC2046,SC2086
    "$CC" -std=c11 "$scratch/program.c" -o "$scratch/program" \
        $(pkg-config --define-variable=prefix="$prefix" --cflags stele) $2 || { echo "$1: does not link"; return 1; }
    found=$(LD_LIBRARY_PATH=$libdir "$scratch/program")
    echo "$1: $found"
    [ "$found" = "$(cat VERSION)" ]
}
libdir=$(pkg-config --define-variable=prefix="$prefix" --variable=libdir stele)
status=0
[ ! -e "$scratch/faults" ] || status=1
if [ -e "$libdir/libstele.so" ]; then
    runs shared "$(pkg-config --define-variable=prefix="$prefix" --libs stele)" || status=1
fi
if [ -e "$libdir/libstele.so" ] && [ ! -e "$libdir/stele/stele_sqlite.so" ]; then
    echo "the extension is not installed"
    status=1
fi
if [ -e "$libdir/libstele.a" ]; then
    runs static "$libdir/libstele.a $(pkg-config --libs sqlite3 uuid jansson libxxhash) -pthread" || status=1
fi
exit $status
