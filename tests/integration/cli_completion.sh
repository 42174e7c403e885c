#!/bin/sh
# Completion in bash offers the commands, every option that a command has, streams of the store, and files.
set -u
command -v bash >/dev/null || exit 77
stele=$STELE_BUILD/tools/stele/stele
[ -f "$stele" ] || exit 77
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
status=0

cat >"$folder/complete.bash" <<'END'
source "$STELE_SOURCE/tools/completion/stele.bash"
stele() { "$STELE_BUILD/tools/stele/stele" "$@"; }
cd "$1" || exit 1
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_stele 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}"
END

# offers WORD LINE...: completing the last word of the line offers the word
offers() {
    wanted=$1
    shift
    bash "$folder/complete.bash" "$folder" "$@" >"$folder/offered" || status=1
    grep -q -x -e "$wanted" "$folder/offered" && return
    echo "'$*' does not offer $wanted but: $(tr '\n' ' ' <"$folder/offered")"
    status=1
}

"$stele" append "$folder/ledger.db" account-1 --type t '{}' >/dev/null || status=1
for command in append read log streams show export import stats schema verify backup restore compact upgrade dead subscriptions project rebuild trace sql version; do
    offers "$command" stele ''
    case $command in version) continue ;; esac
    for option in $("$stele" "$command" --help | grep -o -e '--[a-z][a-z-]*' | sort -u); do
        offers "$option" stele "$command" --
    done
    offers ledger.db stele "$command" le
done
offers append stele app
offers account-1 stele read ledger.db ''
offers account-1 stele append --type t ledger.db acc
offers exists stele append ledger.db account-1 --expect ''
offers log stele help lo
offers requeue stele dead ledger.db re
exit $status
