#!/bin/sh
# The test driver counts what a program says: a failure, a crash or a leak is
# never lost, and the summary adds up.
set -u
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT
cd "$scratch" || exit 1
status=0

# drive NAME EXPECTED COMMAND...: run COMMAND under the driver and compare the results
drive() {
    name=$1 expected=$2
    shift 2
    sh "$here/driver.sh" --test-name "$name" --log-file "$name.log" --trs-file "$name.trs" --color-tests no \
        --expect-failure no --enable-hard-errors yes -- "$@"
    found=$(sed -n 's/^:test-result: //p' "$name.trs" | tr '\n' ',')
    [ "$found" = "$expected" ] || { echo "$name: $found instead of $expected"; status=1; }
}

cmocka='echo "[==========] Running 2 test(s)."; echo "[ RUN      ] one"; echo "[       OK ] one"; echo "[ RUN      ] two";'
drive good 'PASS one,PASS two,' sh -c "$cmocka echo '[       OK ] two'"
drive bad 'PASS one,FAIL two,' sh -c "$cmocka echo '[  FAILED  ] two'; echo '[  FAILED  ] 1 test(s), listed below:'; echo '[  FAILED  ] two'; exit 1"
drive crash 'PASS one,FAIL two,' sh -c "$cmocka kill -SEGV \$\$"
drive skipped 'PASS one,SKIP two,' sh -c "$cmocka echo '[  SKIPPED ] two'"
drive leak 'PASS one,PASS two,FAIL (exit status 23),' sh -c "$cmocka echo '[       OK ] two'; exit 23"
drive named 'PASS a_FAIL_is_told,' sh -c 'echo "[==========] Running 1 test(s)."; echo "[ RUN      ] a_FAIL_is_told"; echo "[       OK ] a_FAIL_is_told"'
grep -q '^:global-test-result: PASS$' named.trs || { echo "a test with FAIL in its name failed"; status=1; }
drive shell 'PASS,' true
drive shell_bad 'FAIL,' false
drive shell_skipped 'SKIP,' sh -c 'exit 77'

# sums EXPECTED STATUS TEST...: what the summary's last line and exit status are
sums() {
    expected=$1 expected_status=$2
    shift 2
    sh "$here/summary.sh" "$@" >summary
    found_status=$?
    [ "$(tail -n 1 summary)" = "$expected" ] && [ $found_status -eq "$expected_status" ] && return
    echo "summary of $*: $(tail -n 1 summary), status $found_status, instead of $expected"
    status=1
}
sums '4 passed, 0 failed' 0 good skipped shell.sh
sums '7 passed, 4 failed' 1 good bad crash leak shell.sh shell_bad.sh
sums '2 passed, 1 failed' 1 good never_ran
sums '0 passed, 0 failed' 1 shell_skipped.sh
exit $status
