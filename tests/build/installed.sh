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
# A program with the testing kit: a scenario that fails is told, and its text is the program's.
cat >"$scratch/tests.c" <<'END'
#include <stele/testkit.h>
#include <stdio.h>
#define POT(FIELD, T) FIELD(T, INT64, coins)
STELE_DECLARE(pot, POT);
STELE_DEFINE_STATE(pot, "pot", 1, POT);
STELE_DECLARE(filled, POT);
STELE_DEFINE_EVENT(filled, "pot.filled", 1, POT);
STELE_DECLARE(fill, POT);
STELE_DEFINE_COMMAND(fill, "pot.fill", 1, POT);
static void on_filled(struct pot *pot, const struct filled *event) { pot->coins += event->coins; }
static stele_status decide_fill(const struct pot *pot, const struct fill *command, stele_decision *decision)
{
    (void)pot;
    return STELE_EMIT(decision, filled, .coins = command->coins);
}
#define POT_EVENTS(EVOLVE, A) EVOLVE(A, filled, on_filled)
#define POT_COMMANDS(DECIDE, A) DECIDE(A, fill, decide_fill)
STELE_DEFINE_AGGREGATE(pot, POT_EVENTS, POT_COMMANDS);
static void count(void *context, const char *file, int line, const char *text)
{
    (void)file, (void)line, (void)text;
    ++*(int *)context;
}
int main(void)
{
    int failures = 0;
    stele_testkit_on_failure(count, &failures);
    for (int expected = 5; expected <= 6; expected++) {
        STELE_SCENARIO(scenario, pot) {
            STELE_GIVEN(scenario, filled, .coins = 2);
            STELE_WHEN(scenario, fill, .coins = 3);
            STELE_THEN_STATE(scenario, pot, .coins = expected);
        }
    }
    return failures == 1 ? 0 : 1;
}
END

# tests_run KIND FLAGS: the same for a program with the testing kit
tests_run() {
    # shellcheck disable=SC2046,SC2086
    "$CC" -std=c11 "$scratch/tests.c" -o "$scratch/tests" \
        $(pkg-config --define-variable=prefix="$prefix" --cflags stele-testkit) $2 ||
        { echo "$1, with the kit: does not link"; return 1; }
    LD_LIBRARY_PATH=$libdir "$scratch/tests" || { echo "$1, with the kit: fails"; return 1; }
    echo "$1, with the kit: runs"
}
if [ -e "$libdir/libstele-testkit.so" ]; then
    tests_run shared "$(pkg-config --define-variable=prefix="$prefix" --libs stele-testkit)" || status=1
fi
if [ -e "$libdir/libstele-testkit.a" ]; then
    tests_run static "$libdir/libstele-testkit.a $libdir/libstele.a $(pkg-config --libs sqlite3 uuid jansson libxxhash) -pthread" ||
        status=1
fi
if [ -e "$libdir/libstele.so" ] && [ ! -e "$libdir/stele/stele_sqlite.so" ]; then
    echo "the extension is not installed"
    status=1
fi
if [ -e "$libdir/libstele.a" ]; then
    runs static "$libdir/libstele.a $(pkg-config --libs sqlite3 uuid jansson libxxhash) -pthread" || status=1
fi
exit $status
