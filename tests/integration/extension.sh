#!/bin/sh
# The loadable extension works in the sqlite3 shell: functions, the view, damage, another program's database.
set -u
command -v sqlite3 >/dev/null || { echo "there is no sqlite3 shell"; exit 77; }
[ "${STELE_SANITIZERS:-no}" = no ] || { echo "the shell cannot load a sanitized library"; exit 77; }
extension=$STELE_BUILD/.libs/stele_sqlite.so
stele=$STELE_BUILD/tools/stele/stele
[ -f "$extension" ] && [ -f "$stele" ] || { echo "it is not built"; exit 77; }
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
sqlite3 :memory: '.load /nowhere' 2>&1 | grep -q 'unknown command' && { echo "the shell loads no extensions"; exit 77; }
status=0

# answers EXPECTED DATABASE SQL
answers() {
    found=$(sqlite3 -readonly -cmd ".load ${extension%.so}" "$2" "$3" 2>&1)
    [ "$found" = "$1" ] && return
    echo "$3: '$found' instead of '$1'"
    status=1
}

"$stele" append ledger.db a --type bank.paid --id e1 --correlation c --time 2026-01-02T03:04:05Z '{"amount":5}' >/dev/null
answers '1|a|1|bank.paid|e1|2026-01-02T03:04:05Z|{"amount":5}|{"correlationid":"c"}' ledger.db \
    'SELECT position, stream, version, type, id, time, data, attributes FROM events'
answers '5' ledger.db "SELECT stele_json(data) ->> '\$.amount' FROM event"
answers '{"a":1}' ledger.db "SELECT stele_json(x'81a16101')"
sqlite3 other.db 'CREATE TABLE events(x)'
answers '1970-01-01T00:00:00Z' other.db 'SELECT stele_time(0)'
answers '0' other.db 'SELECT count(*) FROM events'
exit $status
