#!/bin/sh
# VERSION is the only version: the news, stele.pc and the command say the same.
set -u
# shellcheck source=tree.sh
. "$(dirname "$0")/tree.sh"

version=$(cat VERSION)
status=0

# says WHAT VERSION
says() {
    echo "$1: $2"
    [ "$2" = "$version" ] || status=1
}

says VERSION "$version"
says 'NEWS.md, top entry' "$(sed -n 's/^## \([^ ]*\).*/\1/p' NEWS.md | head -n 1)"
for pc in stele.pc stele-testkit.pc; do
    says $pc "$(sed -n 's/^Version: //p' "$STELE_BUILD/$pc")"
done
for program in "$STELE_BUILD/tools/stele" "$STELE_BUILD/tools/stele/stele"; do
    if [ -f "$program" ]; then
        says 'stele version' "$("$program" version | sed -n '1s/^stele //p')"
    fi
done
exit $status
