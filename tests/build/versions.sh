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
says stele.pc "$(sed -n 's/^Version: //p' "$STELE_BUILD/stele.pc")"
if [ -x "$STELE_BUILD/tools/stele" ]; then
    says 'stele version' "$("$STELE_BUILD/tools/stele" version | sed -n '1s/^stele //p')"
fi
exit $status
