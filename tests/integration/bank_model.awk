# The bank once more, in a language of its own and without the library: reads a file of statements and
# prints what must become of it. `broken` lists the numbers of the lines that are not UTF-8, " 3 17 ";
# with `until` (as 2025-06-30) the balances are those at the end of that day.
#
#   count NAME N       accepted, handled, rejected, malformed, deposited, withdrawn, held, accounts
#   rule N NAME        rejected by that rule
#   malformed N        a line number
#   account NUMBER BALANCE CONDITION
#   month MONTH DEPOSITED CASH PAID SENT RECEIVED

function malformed() { counts["malformed"]++; print "malformed " NR }
function rejected(rule) { counts["rejected"]++; rules[rule]++; return 0 }

# Split a line of RFC 4180 into column[1..]; 0 if a quote is out of place.
function split_line(line,    n, character, quoted, i) {
    n = 1; quoted = 0
    split("", column)
    column[1] = ""
    for (i = 1; i <= length(line); i++) {
        character = substr(line, i, 1)
        if (quoted) {
            if (character != "\"") column[n] = column[n] character
            else if (substr(line, i + 1, 1) == "\"") { column[n] = column[n] "\""; i++ }
            else { quoted = 0; if (i < length(line) && substr(line, i + 1, 1) != ",") return 0 }
        } else if (character == ",") column[++n] = ""
        else if (character == "\"") { if (column[n] != "") return 0; quoted = 1 }
        else column[n] = column[n] character
    }
    return quoted ? 0 : n
}

function is_date(text,    year, month, day, days) {
    if (text !~ /^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]Z$/) return 0
    year = substr(text, 1, 4) + 0; month = substr(text, 6, 2) + 0; day = substr(text, 9, 2) + 0
    days = month == 2 ? (year % 4 == 0 ? 29 : 28) : (month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31)
    return month >= 1 && month <= 12 && day >= 1 && day <= days && substr(text, 12, 2) + 0 < 24
}

function is_number(text) { return length(text) == 8 && text !~ /[^0-9]/ }

# Minor units; 0 if it is no amount.
function amount_of(text,    parts) {
    if (text !~ /^[0-9]+(\.[0-9][0-9])?$/ || length(text) > 18) return 0
    split(text, parts, ".")
    return parts[1] * 100 + parts[2]
}

function length_of(text) { gsub(/[\200-\277]/, "", text); return length(text) }

function is_sound(    kind, moves) {
    if (index(broken, " " NR " ") || split_line($0) != 7) return 0
    kind = column[3]
    moves = kind == "deposit" || kind == "withdraw" || kind == "transfer"
    if (!moves && kind !~ /^(open|suspend|reactivate|close)$/) return 0
    if (column[1] == "" || length(column[1]) > 35 || column[1] ~ /[^A-Za-z0-9-]/ || !is_date(column[2])) return 0
    if (!is_number(column[4]) || length_of(column[7]) > 140) return 0
    if (kind == "transfer" ? !is_number(column[5]) : column[5] != "") return 0
    if (moves ? !amount_of(column[6]) : column[6] != "") return 0
    return kind != "open" || column[7] !~ /^ *$/
}

function is_active(account) {
    if (!(account in condition)) return rejected("unknown account")
    if (condition[account] != "open") return rejected("account " condition[account])
    return 1
}

function covers(account, amount) {
    if (!is_active(account)) return 0
    return balance[account] >= amount ? 1 : rejected("insufficient funds")
}

function move(account, amount) { balance[account] += amount }
function note(what, amount,    month) {
    month = substr(column[2], 1, 7)
    months[month]
    moved[month, what] += amount
}

function handle(kind, account, counter, amount) {
    if (kind == "open") {
        if (account in condition) return rejected("account exists")
        condition[account] = "open"; balance[account] = 0
    } else if (kind == "deposit") {
        if (!is_active(account)) return 0
        move(account, amount); counts["deposited"] += amount; note("deposited", amount)
    } else if (kind == "withdraw") {
        if (!covers(account, amount)) return 0
        move(account, -amount); counts["withdrawn"] += amount; note(column[7] ~ /^Cash/ ? "cash" : "paid", amount)
    } else if (kind == "transfer") {
        if (!covers(account, amount)) return 0
        if (account == counter) return rejected("transfer to itself")
        if (!is_active(counter)) return 0
        move(account, -amount); move(counter, amount); note("sent", amount); note("received", amount)
    } else if (kind == "suspend") {
        if (!is_active(account)) return 0
        condition[account] = "suspended"
    } else if (kind == "reactivate") {
        if (condition[account] == "suspended") condition[account] = "open"
        else if (is_active(account)) return rejected("account not suspended")
        else return 0
    } else {
        if (!is_active(account)) return 0
        if (balance[account] != 0) return rejected("balance not zero")
        condition[account] = "closed"
    }
    counts["accepted"]++
}

NR == 1 { next }
!is_sound() { malformed(); next }
until != "" && substr(column[2], 1, 10) > until { next }
$0 in seen { counts["handled"]++; next }
{ seen[$0] = 1 }
column[1] in used { rejected("duplicate reference"); next }
{ used[column[1]] = 1; handle(column[3], column[4], column[5], amount_of(column[6])) }

END {
    for (account in condition) {
        counts["accounts"]++
        counts["held"] += balance[account]
        printf "account %s %.0f %s\n", account, balance[account], condition[account]
    }
    for (month in months)
        printf "month %s %.0f %.0f %.0f %.0f %.0f\n", month, moved[month, "deposited"], moved[month, "cash"],
            moved[month, "paid"], moved[month, "sent"], moved[month, "received"]
    for (rule in rules) print "rule " rules[rule] " " rule
    for (name in counts) printf "count %s %.0f\n", name, counts[name]
}
