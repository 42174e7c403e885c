#!/bin/sh
# The manual page renders without a warning and speaks of every command and option.
set -u
page=$STELE_SOURCE/docs/man/stele.1
status=0

command -v man >/dev/null && command -v groff >/dev/null || exit 77
text=$(mktemp) || exit 1
trap 'rm -f "$text" "$text.faults"' EXIT
LC_ALL=C.UTF-8 MANWIDTH=100 MANROFFOPT='' man --warnings -E UTF-8 -l "$page" >"$text.raw" 2>"$text.faults" || status=1
col -b <"$text.raw" >"$text" 2>/dev/null || cat "$text.raw" >"$text"
rm -f "$text.raw"
if [ -s "$text.faults" ]; then
    cat "$text.faults"
    status=1
fi

stele=$STELE_BUILD/tools/stele/stele
[ -f "$stele" ] || exit $status
for command in append read log streams show export import stats schema verify backup restore compact upgrade subscriptions project rebuild trace sql version; do
    grep -q "stele $command" "$text" || { echo "the page lacks: stele $command"; status=1; }
    for option in $("$stele" "$command" --help | grep -o -e '--[a-z][a-z-]*' | sort -u); do
        grep -q -e "$option" "$text" || { echo "the page lacks: $option of $command"; status=1; }
    done
done
exit $status
