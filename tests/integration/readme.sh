#!/bin/sh
# The tour of README.md is word for word what happens: each `$` line of its console blocks is run,
# and what stands below it is what comes out.
set -u
for program in tools/stele/stele examples/bank/bank; do
    [ -f "$STELE_BUILD/$program" ] || exit 77
done
folder=$(mktemp -d) || exit 1
trap 'rm -rf "$folder"' EXIT
mkdir -p "$folder/tour/examples" "$folder/tour/build"
ln -s "$STELE_SOURCE/examples/bank" "$folder/tour/examples/bank"
awk '/^```console/ { on = 1; next } /^```/ { on = 0 } on' "$STELE_SOURCE/README.md" >"$folder/expected"

# Each command is echoed as the page has it, then run.
awk '
    function run() { if (command != "") print command; command = "" }
    /^[$>] / {
        if (/^[$] /) run()
        printf "cat <<\"END_OF_LINE\"\n%s\nEND_OF_LINE\n", $0
        command = command substr($0, 3) "\n"
        next
    }
    { run() }
    END { run() }' "$folder/expected" >"$folder/tour.sh"

PATH=$STELE_BUILD/tools/stele:$STELE_BUILD/examples/bank:$PATH
export PATH
(cd "$folder/tour" && sh "$folder/tour.sh") >"$folder/actual" 2>&1
[ -s "$folder/expected" ] || { echo "README.md has no console blocks"; exit 1; }
diff -u "$folder/expected" "$folder/actual"
