#!/bin/sh
# Test driver for automake's parallel harness: every test of a cmocka program
# counts by itself, a shell test counts as one (exit status 77: skipped).
set -u

color=no
while [ $# -gt 0 ]; do
    case $1 in
    --test-name) name=$2; shift 2 ;;
    --log-file) log=$2; shift 2 ;;
    --trs-file) trs=$2; shift 2 ;;
    --color-tests) color=$2; shift 2 ;;
    --expect-failure | --enable-hard-errors | --collect-skipped-logs) shift 2 ;;
    --) shift; break ;;
    *) break ;;
    esac
done

"$@" >"$log" 2>&1 </dev/null
status=$?

# The results, one "WORD name" per line. A cmocka test is closed by the first verdict
# after its RUN line; the lists at the end of a group repeat names and do not count.
# A test without a verdict took the program down with it.
results=$(awk -v status="$status" '
    function close_test(word) { if (running != "") { print word " " running; count[word]++; running = "" } }
    /\[==========\]/ { cmocka = 1 }
    /\[ RUN      \] / { close_test("FAIL"); running = $0; sub(/.*\[ RUN      \] /, "", running) }
    /\[       OK \] / { close_test("PASS") }
    /\[  SKIPPED \] / { close_test("SKIP") }
    /\[  (FAILED|ERROR )  \] / { close_test("FAIL") }
    END {
        close_test("FAIL")
        if (!cmocka) print status == 0 ? "PASS" : status == 77 ? "SKIP" : "FAIL"
        else if (status != 0 && !count["FAIL"]) print "FAIL (exit status " status ")"
    }' "$log")

# The word, not a test whose name has it.
has() { printf '%s\n' "$results" | grep -q "^$1"; }
if has FAIL; then
    verdict=FAIL
elif has PASS; then
    verdict=PASS
else
    verdict=SKIP
fi

{
    printf '%s\n' "$results" | sed 's/^/:test-result: /'
    echo ":global-test-result: $verdict"
    echo ":recheck: $([ $verdict = FAIL ] && echo yes || echo no)"
    echo ":copy-in-global-log: $([ $verdict = PASS ] && echo no || echo yes)"
} >"$trs"

if [ "$color" = yes ]; then
    case $verdict in
    PASS) verdict=$(printf '\033[0;32mPASS\033[m') ;;
    FAIL) verdict=$(printf '\033[0;31mFAIL\033[m') ;;
    *) verdict=$(printf '\033[1;34mSKIP\033[m') ;;
    esac
fi
echo "$verdict: $name ($(printf '%s\n' "$results" | wc -l | tr -d ' '))"
