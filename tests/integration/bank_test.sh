#!/bin/sh
# The bank, as a user runs it, against a model of it in awk (bank_model.awk). Prints its tests the way
# cmocka does, so that each counts.
set -u
bank=$STELE_BUILD/examples/bank/bank
stele=$STELE_BUILD/tools/stele/stele
statements=$STELE_SOURCE/examples/bank/statements.csv
monthly=$STELE_SOURCE/examples/bank/monthly.sql
[ -f "$bank" ] || exit 77
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
failures=0

echo "[==========] Running the tests of the bank."
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

# same WHAT FILE FILE: the two are equal
same() {
    diff "$2" "$3" >"$folder/difference" && return
    fault "$1 differs:"
    head -n 10 "$folder/difference"
}

# exits STATUS WORDS COMMAND...: ends with the status, and its errors contain the words
exits() {
    wanted=$1
    words=$2
    shift 2
    "$@" >"$folder/out" 2>"$folder/errors" </dev/null
    status=$?
    [ "$status" = "$wanted" ] || fault "'$*' ended with $status instead of $wanted: $(cat "$folder/errors")"
    grep -q -F -e "$words" "$folder/errors" || fault "'$*' does not say '$words' but: $(cat "$folder/errors")"
}

# --- What the model says, in the words of the bank ---------------------------------

broken=" $(LC_ALL=C.UTF-8 grep -naxv '.*' "$statements" | cut -d: -f1 | tr '\n' ' ')"
model() { LC_ALL=C awk -v broken="$broken" "$@" -f "$STELE_SOURCE/tests/integration/bank_model.awk" "$statements"; }
model >"$folder/model" || exit 1

# number NAME: a count of the model
number() { awk -v name="$1" '$1 == "count" && $2 == name { n = $3 } END { print n + 0 }' "$folder/model"; }
# amounts are minor units in the model, "1,234.50" in the bank
plain_amounts() { awk '{ amount = $2; gsub(/[,.]/, "", amount); sub(/^0+/, "", amount); print $1, (amount == "" ? 0 : amount), $3 }'; }
accounts_of() { "$bank" accounts "$1" | tail -n +2 | awk '{ print $1, $2, $3 }' | plain_amounts | LC_ALL=C sort; }
awk '$1 == "account" { print $2, $3, $4 }' "$folder/model" | LC_ALL=C sort >"$folder/model.accounts"

# all statements of a ledger, one after the other
statements_of() {
    while read -r number _; do
        "$bank" statement "$1" "$number" || return
    done <"$folder/model.accounts"
}

# --- The shipped file ------------------------------------------------------------------

the_shipped_file_is_a_year_of_at_least_2000_transactions_of_50_accounts() {
    [ "$(number accepted)" -ge 2000 ] || fault "$(number accepted) transactions are accepted"
    [ "$(number accounts)" = 50 ] || fault "$(number accounts) accounts"
    for rule in "account closed" "account exists" "account not suspended" "account suspended" "balance not zero" \
        "duplicate reference" "insufficient funds" "transfer to itself" "unknown account"; do
        grep -q "^rule [0-9]* $rule\$" "$folder/model" || fault "nothing in it is rejected as: $rule"
    done
    [ "$(number malformed)" = 20 ] || fault "$(number malformed) lines of it are malformed"
}

the_summary_counts_what_the_model_counts() {
    "$bank" run "$statements" "$folder/ledger.db" >"$folder/summary" || fault "the bank ended with $?"
    for pair in accepted:accepted rejected:rejected "already handled:handled" malformed:malformed accounts:accounts; do
        name=${pair%%:*}
        grep -q "^  $name  *$(number "${pair##*:}")\$" "$folder/summary" ||
            fault "$name: not $(number "${pair##*:}") but: $(grep "^  $name " "$folder/summary")"
    done
    grep '^rule' "$folder/model" | sed 's/^rule //' | LC_ALL=C sort >"$folder/rules.model"
    sed -n 's/^    \([a-z].*[a-z]\)  *\([0-9][0-9]*\)$/\2 \1/p' "$folder/summary" | grep -v ' line ' |
        sed 's/  *$//' | LC_ALL=C sort >"$folder/rules"
    same "the list of rules" "$folder/rules.model" "$folder/rules"
}

malformed_lines_are_told_by_number() {
    awk '$1 == "malformed" { print $2 }' "$folder/model" >"$folder/lines.model"
    awk '$1 == "line" { print $2 }' "$folder/summary" >"$folder/lines"
    same "the list of lines" "$folder/lines.model" "$folder/lines"
}

the_books_balance() {
    grep -q '^balanced$' "$folder/summary" || fault "not balanced"
    [ $(($(number deposited) - $(number withdrawn))) = "$(number held)" ] || fault "the model does not balance"
    for name in deposited withdrawn held; do
        found=$(sed -n "s/^  \($name  *[0-9.,]*\) EUR\$/\1/p" "$folder/summary" | plain_amounts)
        [ "$found" = "$name $(number "$name") " ] || fault "$name: not $(number "$name") but: $found"
    done
}

every_account_has_the_balance_and_condition_of_the_model() {
    accounts_of "$folder/ledger.db" >"$folder/accounts"
    same "the list of accounts" "$folder/model.accounts" "$folder/accounts"
}

every_statement_ends_with_the_balance_of_its_account() {
    statements_of "$folder/ledger.db" >"$folder/statements" || fault "a statement failed"
    awk '$1 == "Account" { number = $2; sub(",", "", number) } $1 == "Balance" { print number, $2 }' \
        "$folder/statements" | plain_amounts | sed 's/ *$//' >"$folder/balances"
    cut -d' ' -f1,2 "$folder/model.accounts" >"$folder/balances.model"
    same "the list of balances" "$folder/balances.model" "$folder/balances"
}

a_statement_as_of_a_date_has_the_balance_of_that_day() {
    for until in 2025-02-28 2025-06-30 2025-11-11; do
        model -v until="$until" | awk '$1 == "account" { print $2, $3 }' | LC_ALL=C sort >"$folder/past.model"
        while read -r number _; do
            "$bank" statement "$folder/ledger.db" "$number" --as-of "$until" >"$folder/out" ||
                fault "$number as of $until failed"
            echo "$number $(sed -n 's/^Balance \([^ ]*\) EUR$/\1/p' "$folder/out")"
        done <"$folder/past.model" | plain_amounts | sed 's/ *$//' >"$folder/past"
        same "the list of balances as of $until" "$folder/past.model" "$folder/past"
    done
}

an_account_opened_later_is_not_there_as_of_before() {
    last=$(LC_ALL=C grep -a ',open,' "$statements" | tail -n 4 | head -n 1 | cut -d, -f4)
    exits 1 "there was no such account at that time" "$bank" statement "$folder/ledger.db" "$last" --as-of 2025-01-01
}

# --- Again ------------------------------------------------------------------------------

running_again_changes_nothing() {
    [ -f "$stele" ] && "$stele" export "$folder/ledger.db" >"$folder/export"
    "$bank" run "$statements" "$folder/ledger.db" >"$folder/summary" || fault "the bank ended with $?"
    grep -q '^  accepted  *0$' "$folder/summary" || fault "something was accepted again"
    grep -q '^  rejected  *0$' "$folder/summary" || fault "something was rejected again"
    handled=$(($(number accepted) + $(number rejected) + $(number handled)))
    grep -q "^  already handled  *$handled\$" "$folder/summary" || fault "not $handled lines were handled already"
    grep -q '^balanced$' "$folder/summary" || fault "not balanced"
    statements_of "$folder/ledger.db" >"$folder/statements.again"
    cmp "$folder/statements" "$folder/statements.again" || fault "a statement has changed"
    if [ -f "$stele" ]; then
        "$stele" export "$folder/ledger.db" >"$folder/export.again" || fault "the ledger cannot be exported"
        cmp "$folder/export" "$folder/export.again" || fault "the log has changed"
    fi
}

# assert_same_books LEDGER: balances as the model has them
assert_same_books() {
    accounts_of "$1" >"$folder/accounts"
    same "the list of accounts" "$folder/model.accounts" "$folder/accounts"
}

killed_in_the_middle_and_run_again_it_ends_with_the_same_books() {
    mkfifo "$folder/pipe" || fault "no pipe"
    "$bank" run "$folder/pipe" "$folder/killed.db" >"$folder/out" 2>&1 &
    process=$!
    # Half of the lines come; then, waiting for more, it dies.
    exec 3>"$folder/pipe"
    head -n 1100 "$statements" >&3
    kill -KILL "$process"
    wait "$process" 2>"$folder/out"
    exec 3>&-
    # At any instant: the outcome does not depend on which.
    for seconds in 0.01 0.03 0.06 0.1 0.15; do
        timeout -s KILL "$seconds" "$bank" run "$statements" "$folder/killed.db" >"$folder/out" 2>&1
    done
    "$bank" run "$statements" "$folder/killed.db" >"$folder/summary" || fault "the bank ended with $?"
    grep -q '^balanced$' "$folder/summary" || fault "not balanced"
    assert_same_books "$folder/killed.db"
    statements_of "$folder/killed.db" >"$folder/statements.killed"
    cmp "$folder/statements" "$folder/statements.killed" || fault "a statement differs"
}

two_that_run_the_same_file_at_once_end_with_the_same_books() {
    "$bank" run "$statements" "$folder/shared.db" >"$folder/first" 2>&1 &
    process=$!
    "$bank" run "$statements" "$folder/shared.db" >"$folder/second" 2>&1 || fault "second: $(tail -n 1 "$folder/second")"
    wait "$process" || fault "first: $(tail -n 1 "$folder/first")"
    accepted=$(cat "$folder/first" "$folder/second" | awk '$1 == "accepted" { n += $2 } END { print n }')
    rejected=$(cat "$folder/first" "$folder/second" | awk '$1 == "rejected" { n += $2 } END { print n }')
    [ "$accepted" = "$(number accepted)" ] || fault "$accepted were accepted instead of $(number accepted)"
    [ "$rejected" = "$(number rejected)" ] || fault "$rejected were rejected instead of $(number rejected)"
    assert_same_books "$folder/shared.db"
}

large_withdrawals_are_told_once_and_refused_ones_never() {
    cat >"$folder/large.csv" <<END
reference,time,kind,account,counter,amount,text
L-1,2025-01-01T10:00:00Z,open,10000001,,,Ada
L-2,2025-01-01T11:00:00Z,deposit,10000001,,1000.00,Cash
L-3,2025-01-02T10:00:00Z,withdraw,10000001,,100.00,Piano
L-4,2025-01-02T11:00:00Z,withdraw,10000001,,99.99,Shoes
L-5,2025-01-02T12:00:00Z,withdraw,10000001,,900.00,Too much
L-6,2025-01-02T13:00:00Z,withdraw,10000001,,700.00,Car
END
    "$bank" run --alert 100 "$folder/large.csv" "$folder/large.db" >"$folder/out" 2>"$folder/alerts" ||
        fault "the bank ended with $?"
    cat >"$folder/alerts.wanted" <<END
bank: large withdrawal: 100.00 EUR from account-10000001, Piano
bank: large withdrawal: 700.00 EUR from account-10000001, Car
END
    same "the list of alerts" "$folder/alerts.wanted" "$folder/alerts"
    "$bank" run --alert 100 "$folder/large.csv" "$folder/large.db" >"$folder/out" 2>"$folder/alerts" ||
        fault "the bank ended with $?"
    [ ! -s "$folder/alerts" ] || fault "told again: $(cat "$folder/alerts")"
}

rejections_are_no_dead_letters() {
    [ -f "$stele" ] || return
    "$stele" streams "$folder/ledger.db" | awk 'NR > 1 { print $1 }' | grep -v -e '^account-' -e '^transaction-' -e '^\$types$' \
        >"$folder/others" && fault "there are other streams: $(cat "$folder/others")"
}

# --- Read models ----------------------------------------------------------------------------

the_balances_in_the_ledger_are_those_of_the_model() {
    "$bank" balances "$folder/ledger.db" | tail -n +2 >"$folder/out" || fault "the bank ended with $?"
    awk '{ print $1, $2, $3 }' "$folder/out" | plain_amounts | LC_ALL=C sort >"$folder/balances"
    same "the list of balances" "$folder/model.accounts" "$folder/balances"
    awk '{ amount = $2; gsub(/[,.]/, "", amount); if (NR > 1 && amount + 0 > last) print; last = amount + 0 }' \
        "$folder/out" | grep . && fault "the richest are not first"
    awk '$2 >= 2000000' "$folder/model.accounts" | wc -l >"$folder/rich.model"
    "$bank" balances "$folder/ledger.db" --above 20000.00 | tail -n +2 | wc -l >"$folder/rich"
    same "the number of the rich" "$folder/rich.model" "$folder/rich"
}

the_report_has_the_months_of_the_model() {
    "$bank" report "$monthly" "$folder/ledger.db" "$folder/monthly.db" --svg "$folder/chart.svg" >"$folder/report" ||
        fault "the bank ended with $?"
    awk '$1 == "month" { print $2, $3, $4, $5, $6, $7 }' "$folder/model" | LC_ALL=C sort >"$folder/months.model"
    awk 'NR > 1 { gsub(/[,.]/, ""); print $1, $2 + 0, $3 + 0, $4 + 0, $5 + 0, $6 + 0 }' "$folder/report" >"$folder/months"
    same "the list of months" "$folder/months.model" "$folder/months"
    [ "$(tail -n 1 "$folder/report" | awk '{ gsub(/[,.]/, ""); print $7 }')" = "$(number held)" ] ||
        fault "the last balance is not what the accounts hold: $(tail -n 1 "$folder/report")"
    [ "$(grep -c '<rect .*<title>' "$folder/chart.svg")" = "$(wc -l <"$folder/months.model")" ] ||
        fault "the chart has not one bar a month"
    [ "$(head -c 4 "$folder/chart.svg")$(tail -n 1 "$folder/chart.svg")" = "<svg</svg>" ] || fault "the chart is not whole"
    cp "$folder/report" "$folder/report.first"
    "$bank" report "$monthly" "$folder/ledger.db" "$folder/monthly.db" >"$folder/report" || fault "again: $?"
    cmp "$folder/report.first" "$folder/report" || fault "the report is another one the second time"
}

the_report_of_an_account_ends_with_its_balance() {
    head -n 5 "$folder/model.accounts" | while read -r number balance _; do
        found=$("$bank" report "$monthly" "$folder/ledger.db" "$folder/monthly.db" --account "$number" | tail -n 1 |
            awk '{ gsub(/[,.]/, ""); print $7 + 0 }')
        [ "$found" = "$balance" ] || echo "$number: not $balance but: $found"
    done >"$folder/wrong"
    [ ! -s "$folder/wrong" ] || fault "$(cat "$folder/wrong")"
    exits 1 "not an account number" "$bank" report "$monthly" "$folder/ledger.db" "$folder/monthly.db" --account seven
}

cash_three_times_within_a_day_is_told_once() {
    cat >"$folder/cash.csv" <<END
reference,time,kind,account,counter,amount,text
C-1,2025-01-01T10:00:00Z,open,10000001,,,Ada
C-2,2025-01-01T11:00:00Z,deposit,10000001,,1000.00,Cash
C-3,2025-01-02T10:00:00Z,withdraw,10000001,,10.00,Cash
C-4,2025-01-02T11:00:00Z,withdraw,10000001,,10.00,Shoes
C-5,2025-01-02T12:00:00Z,withdraw,10000001,,10.00,"Cash machine, Market Square"
C-6,2025-01-03T10:00:01Z,withdraw,10000001,,10.00,Cash
C-7,2025-01-03T12:00:00Z,withdraw,10000001,,10.00,Cash
END
    # C-3, C-5 and C-6 span a second more than a day; C-5, C-6 and C-7 span a day.
    echo "bank: watch: account-10000001: cash 3 times within a day, last at 2025-01-03T12:00:00Z" >"$folder/watch.wanted"
    "$bank" run --watch "$folder/cash.csv" "$folder/cash.db" >"$folder/out" 2>"$folder/watch" || fault "ended with $?"
    same "what the watch tells" "$folder/watch.wanted" "$folder/watch"
    "$bank" run --watch "$folder/cash.csv" "$folder/cash.db" >"$folder/out" 2>"$folder/watch" || fault "ended with $?"
    [ ! -s "$folder/watch" ] || fault "told again: $(cat "$folder/watch")"
}

# --- A ledger of an older bank, whose withdrawals did not say how ----------------------------

old=$STELE_SOURCE/tests/fixtures/bank-1

an_old_ledger_has_no_balances_until_a_new_bank_has_run() {
    cp "$old.db" "$folder/old.db"
    exits 1 "balance" "$bank" balances "$folder/old.db"
    "$bank" run "$old.csv" "$folder/old.db" >"$folder/summary" || fault "the bank ended with $?"
    "$bank" balances "$folder/old.db" | awk 'NR > 1 { print $1, $2 }' >"$folder/out"
    printf '10000001 340.10\n10000002 80.00\n' >"$folder/wanted"
    same "the list of balances" "$folder/wanted" "$folder/out"
    "$bank" report "$monthly" "$folder/old.db" "$folder/old-monthly.db" >"$folder/report" || fault "no report: $?"
    # Of the withdrawals of old, those in cash are known by their text.
    awk 'NR > 1 { print $1, $3, $4 }' "$folder/report" >"$folder/out"
    printf '2024-10 40.00 19.90\n2024-11 25.50 0.00\n' >"$folder/wanted"
    same "cash and payments" "$folder/wanted" "$folder/out"
}

an_old_ledger_still_reads() {
    cp "$old.db" "$folder/old.db"
    "$bank" accounts "$folder/old.db" | tail -n +2 >"$folder/accounts"
    cat >"$folder/accounts.wanted" <<END
10000001         340.10  suspended  Ada Byron
10000002          80.00  open       Karl Gauss
END
    same "the list of accounts" "$folder/accounts.wanted" "$folder/accounts"
    "$bank" statement "$folder/old.db" 10000001 --as-of 2024-10-31 | grep -q '^Balance 340.10 EUR$' ||
        fault "the statement does not end with 340.10"
    cmp "$old.db" "$folder/old.db" || fault "reading has changed it"
}

the_file_of_an_old_ledger_run_again_changes_nothing() {
    cp "$old.db" "$folder/old.db"
    "$bank" run "$old.csv" "$folder/old.db" >"$folder/summary" || fault "the bank ended with $?"
    grep -q '^  already handled  *10$' "$folder/summary" || fault "not all lines were handled: $(cat "$folder/summary")"
    "$bank" accounts "$folder/old.db" | awk 'NR > 1 { print $2 }' | paste -s -d' ' - | grep -q '^340.10 80.00$' ||
        fault "the balances have changed"
}

# --- Input that is at fault -----------------------------------------------------------------

each_malformed_line_is_told_with_its_reason() {
    {
        echo "reference,time,kind,account,counter,amount,text"
        echo "A-1,2025-01-01T10:00:00Z,open,10000001,,,Ada"
        echo "A-2,2025-01-01T10:00:00Z,deposit,10000001,,1.5,x"
        echo "A-3,2025-01-01,deposit,10000001,,1.50,x"
        echo "A-4,2025-01-01T10:00:00Z,deposit,10000001,,1.50"
        printf 'A-5,2025-01-01T10:00:00Z,deposit,10000001,,1.50,\377\n'
        echo "A-6,2025-01-01T10:00:00Z,deposit,10000001,,1.50,$(printf '%0141d' 0)"
        echo "A-7,2025-01-01T10:00:00Z,deposit,10000001,,1.50,$(printf '%05000d' 0)"
        printf 'A-8,2025-01-01T10:00:00Z,deposit,10000001,,1.50,a\000b\n'
        echo 'A-9,2025-01-01T10:00:00Z,deposit,10000001,,1.50,"a"b'
        printf 'A-10,2025-01-01T10:00:00Z,deposit,10000001,,1.50,"Said ""yes"", twice"\r\n'
        printf 'A-11,2025-01-01T10:00:00Z,deposit,10000001,,1.50,\033[31mred\n'
        printf 'A-12,2025-01-01T10:00:00Z,open,10000002,,,\302\233red\n'
    } >"$folder/small.csv"
    "$bank" run "$folder/small.csv" "$folder/small.db" >"$folder/summary" || fault "the bank ended with $?"
    sed -n 's/^    line //p' "$folder/summary" | sed 's/  */ /' >"$folder/reasons"
    cat >"$folder/reasons.wanted" <<END
3 amount must have two decimals or none
4 time is not a date and time such as 2025-03-01T09:30:00Z
5 text is missing
6 text must be valid UTF-8
7 text must be at most 140 code points
8 the line has 5048 bytes, the limit is 4096
9 the line has a NUL byte
10 text has a quote in the wrong place
12 text must be without control characters
13 owner must be without control characters
END
    same "the list of reasons" "$folder/reasons.wanted" "$folder/reasons"
    "$bank" statement "$folder/small.db" 10000001 | grep -q 'Said "yes", twice$' || fault "the quoted text is not there"
}

what_cannot_be_read_is_told_and_makes_no_ledger() {
    exits 1 "No such file" "$bank" run "$folder/missing.csv" "$folder/none.db"
    echo "some text" >"$folder/text"
    exits 1 "not a file of statements" "$bank" run "$folder/text" "memory:"
    : >"$folder/empty"
    exits 1 "the file is empty" "$bank" run "$folder/empty" "memory:"
    exits 1 "Is a directory" "$bank" run "$folder" "memory:"
    [ ! -e "$folder/none.db" ] || fault "a ledger was made"
}

# shellcheck disable=SC3045 # the shells that are there know -v
a_line_of_any_length_takes_no_memory() {
    # A sanitizer needs more room than that to begin with.
    (
        ulimit -v 200000
        "$bank" --help
    ) >"$folder/out" 2>&1 || return
    head -c 300000000 /dev/zero | {
        ulimit -v 200000
        exec "$bank" run /dev/stdin "memory:"
    } >"$folder/out" 2>&1 && fault "it was accepted"
    grep -q "line 1: not a file of statements" "$folder/out" || fault "it is not told: $(cat "$folder/out")"
}

a_ledger_that_is_none_is_told() {
    exits 1 "none.db" "$bank" statement "$folder/none.db" 10000001
    exits 1 "text" "$bank" accounts "$folder/text"
    exits 1 "there is no such account" "$bank" statement "$folder/ledger.db" 00000001
    exits 1 "not an account number" "$bank" statement "$folder/ledger.db" seven
}

wrong_use_is_told_with_status_2() {
    exits 2 "say what to do" "$bank"
    exits 2 "not one of" "$bank" audit "$folder/ledger.db"
    exits 2 "not one of" "$bank" run "$statements"
    exits 2 "too many" "$bank" run "$statements" "$folder/ledger.db" more "and more"
    exits 2 "not a date" "$bank" statement "$folder/ledger.db" 10000001 --as-of soon
    exits 2 "goes with statement" "$bank" accounts "$folder/ledger.db" --as-of 2025-01-01
    exits 2 "go with run" "$bank" accounts "$folder/ledger.db" --alert 100
    exits 2 "must have two decimals" "$bank" run "$statements" "$folder/ledger.db" --alert 1.5
    exits 2 "go with report" "$bank" accounts "$folder/ledger.db" --svg chart.svg
    exits 2 "goes with balances" "$bank" accounts "$folder/ledger.db" --above 5
    exits 2 "option" "$bank" --unknown
}

check the_shipped_file_is_a_year_of_at_least_2000_transactions_of_50_accounts
check the_summary_counts_what_the_model_counts
check malformed_lines_are_told_by_number
check the_books_balance
check every_account_has_the_balance_and_condition_of_the_model
check every_statement_ends_with_the_balance_of_its_account
check a_statement_as_of_a_date_has_the_balance_of_that_day
check an_account_opened_later_is_not_there_as_of_before
check running_again_changes_nothing
check killed_in_the_middle_and_run_again_it_ends_with_the_same_books
check two_that_run_the_same_file_at_once_end_with_the_same_books
check large_withdrawals_are_told_once_and_refused_ones_never
check rejections_are_no_dead_letters
check the_balances_in_the_ledger_are_those_of_the_model
check the_report_has_the_months_of_the_model
check the_report_of_an_account_ends_with_its_balance
check cash_three_times_within_a_day_is_told_once
check an_old_ledger_still_reads
check an_old_ledger_has_no_balances_until_a_new_bank_has_run
check the_file_of_an_old_ledger_run_again_changes_nothing
check each_malformed_line_is_told_with_its_reason
check what_cannot_be_read_is_told_and_makes_no_ledger
check a_line_of_any_length_takes_no_memory
check a_ledger_that_is_none_is_told
check wrong_use_is_told_with_status_2
[ "$failures" = 0 ]
