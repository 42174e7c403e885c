#!/bin/sh
# Add up what the test driver wrote: shows the log of each test that failed,
# names what was skipped, and ends with the line `N passed, N failed`.
# usage: summary.sh TEST...   in the build folder, after the tests
set -u

passed=0 failed=0
for test; do
    base=${test%.sh}
    if [ ! -f "$base.trs" ]; then
        echo "$test did not run"
        failed=$((failed + 1))
        continue
    fi
    pass=$(grep -c '^:test-result: PASS' "$base.trs")
    fail=$(grep -c '^:test-result: FAIL' "$base.trs")
    passed=$((passed + pass))
    failed=$((failed + fail))
    if [ "$fail" -gt 0 ]; then
        echo "---- $test failed:"
        if [ "$(wc -l <"$base.log")" -gt 400 ]; then
            echo "(the end of $base.log)"
        fi
        tail -n 400 "$base.log"
    fi
    if grep -q '^:test-result: SKIP' "$base.trs"; then
        echo "skipped: $test $(sed -n 's/^:test-result: SKIP *//p' "$base.trs" | tr '\n' ' ')"
    fi
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
