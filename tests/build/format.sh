#!/bin/sh
# Every C file is as clang-format leaves it (mend with: clang-format -i FILE).
# The word is that of version 14, which Debian 12 has; others differ in details.
set -u
# shellcheck source=tree.sh
. "$(dirname "$0")/tree.sh"

formatter=clang-format-14
command -v $formatter >/dev/null || formatter=clang-format
$formatter --version | grep 'version 14\.' || { echo "there is no clang-format 14"; exit 77; }
status=0
for file in $(c_files include lib stores projections testkit tools examples bench tests); do
    $formatter "$file" >"$scratch/formatted" || exit 1
    diff -u --label "$file" --label "$file formatted" "$file" "$scratch/formatted" >"$scratch/difference" && continue
    head -n 20 "$scratch/difference"
    status=1
done
echo "$(c_files include lib stores projections testkit tools examples bench tests | wc -l) files"
exit $status
