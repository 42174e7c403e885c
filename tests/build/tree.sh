# Shared by the tests of this folder (sourced): where source and build are, and
# how to read the C files. By hand: STELE_BUILD=build sh tests/build/NAME.sh
# shellcheck shell=sh

STELE_SOURCE=${STELE_SOURCE:-$(cd "$(dirname "$0")/../.." && pwd)}
STELE_BUILD=${STELE_BUILD:-$STELE_SOURCE/build}
CC=${CC:-cc}
CXX=${CXX:-}
NM=${NM:-nm}
cd "$STELE_SOURCE" || exit 1

scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# The C files below the folders named, one per line.
c_files() {
    find "$@" -name '*.[ch]' 2>/dev/null | LC_ALL=C sort
}

# The public headers as one includes them: stele/base.h
public_headers() {
    (cd include && find . -name '*.h' | sed 's|^\./||' | LC_ALL=C sort)
}

# `file:line:code` of the files named on standard input, without comments and the inside of strings.
code_of_files() {
    xargs -r awk '
        FNR == 1 { comment = 0 }
        {
            text = $0
            if (text !~ /^[ \t]*#[ \t]*include/) gsub(/"([^"\\]|\\.)*"/, "\"\"", text)
            code = ""
            while (text != "") {
                if (comment) {
                    end = index(text, "*/")
                    if (!end) break
                    text = substr(text, end + 2)
                    comment = 0
                } else {
                    start = index(text, "/*")
                    if (!start) { code = code text; break }
                    code = code substr(text, 1, start - 1) " "
                    text = substr(text, start + 2)
                    comment = 1
                }
            }
            sub(/\/\/.*/, "", code)
            if (code ~ /[^ \t]/) print FILENAME ":" FNR ":" code
        }'
}
