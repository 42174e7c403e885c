#!/bin/sh
# Every C file is as clang-format leaves it (mend with: clang-format -i FILE).
set -u
# shellcheck source=tree.sh
. "$(dirname "$0")/tree.sh"

clang-format --version || exit 77
status=0
for file in $(c_files include lib stores tools examples bench tests); do
    clang-format "$file" >"$scratch/formatted" || exit 1
    diff -u --label "$file" --label "$file formatted" "$file" "$scratch/formatted" >"$scratch/difference" && continue
    head -n 20 "$scratch/difference"
    status=1
done
echo "$(c_files include lib stores tools examples bench tests | wc -l) files"
exit $status
