#!/bin/sh
# stele project and stele rebuild, as a user runs them: built, continued, killed, rebuilt, rolled back, and every
# mistake. Prints its tests the way cmocka does, so that each counts.
set -u
stele=$STELE_BUILD/tools/stele/stele
[ -f "$stele" ] || exit 77
command -v sqlite3 >/dev/null || exit 77
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
cd "$folder" || exit 1
failures=0
events=6000

echo "[==========] Running the tests of read models."
fault() { echo "$*"; faulty=yes; }

# check NAME: run the function of that name as a test
check() {
    echo "[ RUN      ] $1"
    faulty=no
    "$1"
    if [ "$faulty" = no ]; then
        echo "[       OK ] $1"
    else
        echo "[  FAILED  ] $1"
        failures=$((failures + 1))
    fi
}

# exits STATUS WORDS COMMAND...: ends with the status, and what it says contains the words
exits() {
    wanted=$1
    words=$2
    shift 2
    "$@" >said 2>&1 </dev/null
    status=$?
    [ "$status" = "$wanted" ] || fault "'$*' ended with $status instead of $wanted: $(cat said)"
    grep -q -F -e "$words" said || fault "'$*' does not say '$words' but: $(cat said)"
}

# is WANTED FOUND
is() { [ "$1" = "$2" ] || fault "'$2' instead of '$1'"; }

ask() { sqlite3 -readonly "$1" "$2"; }
content() { ask "$1" 'SELECT account, amount, events FROM balance ORDER BY account'; }
rebuilt() { content "$1" | sha256sum; }

cat >balances.sql <<'SQL'
--! projection balances 1
CREATE TABLE balance(account TEXT PRIMARY KEY, amount INTEGER NOT NULL, events INTEGER NOT NULL) STRICT;
CREATE TABLE entry(position INTEGER PRIMARY KEY, account TEXT NOT NULL) STRICT;

--! on paid
INSERT INTO balance VALUES(:account, :amount, 1)
    ON CONFLICT(account) DO UPDATE SET amount = amount + excluded.amount, events = events + 1;
INSERT INTO entry VALUES(:position, :account);
SQL
sed 's/balances 1/balances 2/; s/:amount, 1/2 * :amount, 1/' balances.sql >doubled.sql

# lines FROM TO: so many events as JSON, the payload alone
lines() { awk -v from="$1" -v to="$2" 'BEGIN { for (i = from; i <= to; i++) printf "{\"account\":\"a%d\",\"amount\":%d}\n", i % 37, i % 101 }'; }
for first in 1 2001 4001; do
    lines "$first" $((first + 1999)) | "$stele" append log.db till --type paid --batch >/dev/null || exit 1
done

a_model_is_built_and_goes_on_where_it_stopped() {
    cp log.db own.db
    exits 0 "balances version 1: $events events" "$stele" project own.db balances.sql --into read.db
    is "$events" "$(ask read.db 'SELECT sum(events) FROM balance')"
    is "$(lines 1 $events | tr -d '{}' | awk -F'[:,]' '{ sum += $4 } END { print sum }')" "$(ask read.db 'SELECT sum(amount) FROM balance')"
    lines 1 10 | "$stele" append own.db till --type paid --batch >/dev/null
    exits 0 "balances version 1: 10 events" "$stele" project own.db balances.sql --into read.db
    exits 0 "balances version 1: 0 events" "$stele" project own.db balances.sql --into read.db
    is $((events + 10)) "$(ask read.db 'SELECT sum(events) FROM balance')"
    is '' "$("$stele" project own.db balances.sql --into read.db --quiet 2>&1)"
    exits 0 "balances        1" "$stele" project --list --into read.db
}

a_model_is_rebuilt_and_rolled_back() {
    cp log.db own.db
    "$stele" project own.db balances.sql --into back.db --quiet || fault "not built"
    sum=$(ask back.db 'SELECT sum(amount) FROM balance')
    exits 0 "balances version 2: $events events" "$stele" project own.db doubled.sql --into back.db
    is $((2 * sum)) "$(ask back.db 'SELECT sum(amount) FROM balance')"
    exits 0 "the version before is back" "$stele" rebuild --rollback balances --into back.db
    is "$sum" "$(ask back.db 'SELECT sum(amount) FROM balance')"
    exits 0 "balances version 1: $events events" "$stele" rebuild own.db balances.sql --into back.db
    is "$sum" "$(ask back.db 'SELECT sum(amount) FROM balance')"
    exits 1 "not in the read database" "$stele" rebuild --rollback other --into back.db
}

# Killed again and again; then what is there must be what one run without a kill makes.
a_model_that_is_killed_at_any_time_has_each_event_once() {
    cp log.db own.db
    kills=0
    while [ $kills -lt 12 ]; do
        "$stele" project own.db balances.sql --into killed.db --batch 40 --quiet &
        victim=$!
        sleep "0.0$((kills % 5 + 1))"
        kill -9 $victim 2>/dev/null
        wait $victim 2>/dev/null
        kills=$((kills + 1))
    done
    exits 0 "balances version 1" "$stele" project own.db balances.sql --into killed.db
    is $events "$(ask killed.db 'SELECT count(*) FROM entry')"
    "$stele" project own.db balances.sql --into whole.db --quiet || fault "not built"
    is "$(rebuilt whole.db)" "$(rebuilt killed.db)"
}

# The same while another version is built beside: the old one serves until it is replaced.
a_rebuild_that_is_killed_leaves_one_version_whole() {
    cp log.db own.db
    "$stele" project own.db balances.sql --into beside.db --quiet || fault "not built"
    sum=$(ask beside.db 'SELECT sum(amount) FROM balance')
    kills=0
    while [ $kills -lt 8 ]; do
        "$stele" project own.db doubled.sql --into beside.db --batch 40 --quiet &
        victim=$!
        sleep "0.0$((kills % 5 + 1))"
        kill -9 $victim 2>/dev/null
        wait $victim 2>/dev/null
        kills=$((kills + 1))
        now=$(ask beside.db 'SELECT sum(amount) FROM balance')
        [ "$now" = "$sum" ] || [ "$now" = $((2 * sum)) ] || fault "half of a version: $now"
    done
    exits 0 "balances version 2" "$stele" project own.db doubled.sql --into beside.db
    is $((2 * sum)) "$(ask beside.db 'SELECT sum(amount) FROM balance')"
    is $events "$(ask beside.db 'SELECT count(*) FROM entry')"
}

a_signal_ends_a_model_that_follows() {
    cp log.db own.db
    "$stele" project own.db balances.sql --into followed.db --follow >followed 2>&1 &
    follower=$!
    tries=0
    while [ "$(ask followed.db 'SELECT count(*) FROM entry' 2>/dev/null)" != $events ] && [ $tries -lt 300 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    lines 1 1 | "$stele" append own.db till --type paid --batch >/dev/null
    while [ "$(ask followed.db 'SELECT count(*) FROM entry' 2>/dev/null)" != $((events + 1)) ] && [ $tries -lt 600 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    kill -TERM $follower
    wait $follower || fault "ended with $?"
    grep -q "balances version 1: $((events + 1)) events" followed || fault "it said: $(cat followed)"
}

# The statement would take minutes: the first signal waits for its batch, the second one does not.
a_second_signal_ends_it_at_once() {
    cp log.db own.db
    printf '%s\n' '--! projection slow 1' 'CREATE TABLE t(a);' '--! on paid' \
        'INSERT INTO t WITH a(x) AS (VALUES(1),(2),(3),(4),(5),(6),(7),(8),(9),(10)), b AS (SELECT 1 FROM a, a, a, a)' \
        'SELECT count(*) FROM b, b, b, b WHERE :amount >= 0;' >slow.sql
    "$stele" project own.db slow.sql --into slow.db --quiet >said 2>&1 &
    slow=$!
    tries=0
    while [ ! -e slow.db ] && [ $tries -lt 300 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    tries=0
    while kill -TERM $slow 2>/dev/null && [ $tries -lt 50 ]; do
        sleep 0.1
        tries=$((tries + 1))
    done
    [ $tries -lt 50 ] || fault "it goes on"
    kill -9 $slow 2>/dev/null
    wait $slow
    is 143 $?
    is 0 "$(ask slow.db 'SELECT position FROM stele_projection')"
}

two_at_once_double_nothing() {
    cp log.db own.db
    "$stele" project own.db balances.sql --into both.db --batch 20 --quiet 2>first &
    one=$!
    "$stele" project own.db balances.sql --into both.db --batch 20 --quiet 2>second
    wait $one
    exits 0 "balances version 1" "$stele" project own.db balances.sql --into both.db
    is $events "$(ask both.db 'SELECT count(*) FROM entry')"
    is $events "$(ask both.db 'SELECT sum(events) FROM balance')"
}

an_event_that_fails_is_met_by_policy() {
    "$stele" append poison.db till --type paid '{"account":"a","amount":1}' >/dev/null
    "$stele" append poison.db till --type paid '{"account":"a","amount":"much"}' >/dev/null
    "$stele" append poison.db till --type paid '{"account":"b","amount":3}' >/dev/null
    exits 1 "cannot store TEXT value in INTEGER column balance.amount" \
        "$stele" project poison.db balances.sql --into stop.db --on-failure stop
    is 'a|1|1' "$(content stop.db)"
    exits 1 "balances.sql:6" "$stele" project poison.db balances.sql --into stop.db --on-failure stop
    exits 3 "1 events failed and were skipped" "$stele" project poison.db balances.sql --into skip.db --on-failure skip
    is 'a|1|1 b|3|1' "$(content skip.db | tr '\n' ' ' | sed 's/ $//')"
    exits 3 "1 events failed and were parked" "$stele" project poison.db balances.sql --into park.db
    is 'a|1|1 b|3|1' "$(content park.db | tr '\n' ' ' | sed 's/ $//')"
    exits 0 "balances" "$stele" dead poison.db list
}

every_mistake_is_told_with_its_place() {
    cp log.db own.db
    printf '%s\n' '--! projection p 1' 'CREATE TABLE t(a);' '--! on paid' 'INSERT INTO t' '-- here' 'VALUES(' ':amount +)' >bad.sql
    exits 1 'stele: project: bad.sql:7: near ")": syntax error' "$stele" project own.db bad.sql --into bad.db
    [ -e bad.db ] && fault "bad.db was made"
    printf '%s\n' '--! projection p 1' 'CREATE TABLE t(a);' '--! on paid' "ATTACH 'x' AS y;" >bad.sql
    exits 1 'bad.sql:4: ' "$stele" project own.db bad.sql --into bad.db
    exits 1 'missing.sql: ' "$stele" project own.db missing.sql --into bad.db
    exits 1 'missing.db' "$stele" project missing.db balances.sql --into bad.db
    exits 1 'is not registered' "$stele" project own.db balances.sql --into missing/read.db
    exits 2 '--into READ.DB is missing' "$stele" project own.db balances.sql
    exits 2 'none of park, stop, skip' "$stele" project own.db balances.sql --into x.db --on-failure perhaps
    exits 2 '--batch' "$stele" project own.db balances.sql --into x.db --batch 0
    exits 2 'takes no DB' "$stele" rebuild own.db --rollback p --into x.db
    echo 'dear diary' >diary
    exits 1 'diary' "$stele" project own.db balances.sql --into diary
    is 'dear diary' "$(cat diary)"
    exits 1 'own.db' "$stele" project own.db balances.sql --into own.db
}

a_read_database_that_is_wrong_is_refused() {
    cp log.db own.db
    "$stele" project own.db balances.sql --into wrong.db --quiet || fault "not built"
    sed 's/events + 1/events + 2/' balances.sql >edited.sql
    exits 1 'made from something else' "$stele" project own.db edited.sql --into wrong.db
    cp wrong.db ahead.db
    sqlite3 ahead.db 'UPDATE stele_projection SET position = 1000000'
    exits 1 'restored from a backup' "$stele" project own.db balances.sql --into ahead.db
    exits 0 'balances version 1' "$stele" rebuild own.db balances.sql --into ahead.db
    sqlite3 wrong.db 'ALTER TABLE balance ADD COLUMN more TEXT'
    exits 1 'changed by hand' "$stele" project own.db balances.sql --into wrong.db
    exits 0 'balances version 1' "$stele" rebuild own.db balances.sql --into wrong.db
    is $events "$(ask wrong.db 'SELECT sum(events) FROM balance')"
}

# A file may not grow beyond some kilobytes: what is committed stays, and the next run goes on.
a_read_database_without_room_loses_nothing() {
    cp log.db own.db
    "$stele" project own.db balances.sql --into full.db --batch 10 --quiet --on-failure stop &
    victim=$!
    sleep 0.05
    kill -9 $victim 2>/dev/null
    wait $victim 2>/dev/null
    (
        trap '' XFSZ
        ulimit -f 80
        timeout 10 "$stele" project own.db balances.sql --into full.db --batch 100 >limited 2>&1
    )
    exits 0 'balances version 1' "$stele" project own.db balances.sql --into full.db
    is $events "$(ask full.db 'SELECT count(*) FROM entry')"
    "$stele" dead own.db list >letters 2>&1 || fault "no list of letters"
    grep -q balances letters && fault "events were parked for want of room"
}

a_read_database_that_cannot_be_written_is_told() {
    [ "$(id -u)" = 0 ] && return
    cp log.db own.db
    "$stele" project own.db balances.sql --into locked.db --quiet || fault "not built"
    chmod 0444 locked.db
    exits 1 'locked.db' "$stele" project own.db balances.sql --into locked.db
    is $events "$(ask locked.db 'SELECT sum(events) FROM balance')"
}

check a_model_is_built_and_goes_on_where_it_stopped
check a_model_is_rebuilt_and_rolled_back
check a_model_that_is_killed_at_any_time_has_each_event_once
check a_rebuild_that_is_killed_leaves_one_version_whole
check a_signal_ends_a_model_that_follows
check a_second_signal_ends_it_at_once
check two_at_once_double_nothing
check an_event_that_fails_is_met_by_policy
check every_mistake_is_told_with_its_place
check a_read_database_that_is_wrong_is_refused
check a_read_database_without_room_loses_nothing
check a_read_database_that_cannot_be_written_is_told
exit $((failures > 0))
