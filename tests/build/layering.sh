#!/bin/sh
# A file includes only from its own storey or below, and what only one file may touch is touched only there.
set -u
# shellcheck source=tree.sh
. "$(dirname "$0")/tree.sh"

c_files include lib stores projections testkit tools examples | code_of_files >"$scratch/code"
: >"$scratch/faults"

# --- Who may include whom -------------------------------------------------------

# The storey of a public header is that of the folder that fills it. Backends see the base and the
# headers up to their storey, programs see the public headers only.
awk -F: '
    function storey_of_public(header) {
        if (header ~ /^stele\/(base|clock|error|limits|log|memory|retry|uuid)\.h$/) return 1
        if (header ~ /^stele\/(spi\/(store|operations)|store|subscription|deadletters|operations|hooks|types)\.h$/) return 3
        if (header ~ /^stele\/(aggregate|repository|bus|intercept|observe|channel)\.h$/) return 4
        if (header ~ /^stele\/(view|projection|model)\.h$/) return 5
        if (header == "stele/app.h") return 6
        if (header == "stele.h" || header == "stele/testkit.h") return 7
        return 2
    }
    function storey_of_folder(folder) {
        if (folder == "base") return 1
        if (folder == "message" || folder == "runtime") return 2
        if (folder == "store" || folder == "memory" || folder == "sqlite") return 3
        if (folder == "aggregate" || folder == "bus") return 4
        if (folder == "projections") return 5
        if (folder == "app") return 6
        return 0
    }
    function fault(why) { print $1 ":" $2 ": includes " target ", " why }
    {
        code = $0
        sub(/^[^:]*:[0-9]*:/, "", code)
        if (code !~ /^[ \t]*#[ \t]*include/) next
        quoted = code ~ /"/
        target = code
        sub(/^[^<"]*[<"]/, "", target)
        sub(/[>"].*/, "", target)
        split($1, path, "/")
        if (path[1] == "include") {
            header = $1; sub(/^include\//, "", header)
            own = storey_of_public(header)
            if (quoted) fault("a public header includes only installed ones")
            else if (target ~ /^stele/ && storey_of_public(target) > own) fault("which is a storey above it")
            next
        }
        kit = path[1] == "testkit"
        program = path[1] == "tools" || path[1] == "examples" || kit
        folder = path[1] == "projections" ? path[1] : path[2]
        own = program ? 7 : storey_of_folder(folder)
        if (own == 0) { fault("from a folder without a storey"); next }
        if (!quoted) {
            if (target ~ /^stele/ && storey_of_public(target) > own) fault("which is a storey above it")
            if (program && !kit && target ~ /^stele\/(spi\/|testkit\.h)/) fault("which is for backends and tests")
            next
        }
        if (kit && target !~ /^testkit\//) { fault("the kit sees public headers only"); next }
        if (program) {
            if (target ~ /^(base|message|runtime|store|aggregate|bus|app|memory|sqlite|lib|stores|projections)\//) fault("a program sees public headers only")
            next
        }
        if (target == "config.h") next
        split(target, part, "/")
        theirs = storey_of_folder(part[1])
        if (theirs == 0) fault("which names no folder of the library")
        else if (part[1] != folder && theirs >= own && !(path[1] == "lib" && path[2] == "store" && target ~ /^(memory|sqlite)\/(memory|sqlite)\.h$/))
            fault("which is not below it")
        else if (path[1] == "stores" && part[1] != path[2] && part[1] != "base") fault("a backend sees the SPI and the base only")
    }' "$scratch/code" >>"$scratch/faults"

# --- What only one place may touch ----------------------------------------------

# only PATTERN WHERE ALLOWED WORDS: code below WHERE (a regex of paths) that matches PATTERN stands only in ALLOWED files.
only() {
    grep -E "^($2)" "$scratch/code" | grep -vE "^($3):" | grep -E "^[^:]*:[0-9]*:$1" | sed "s|\$|    <- $4|" >>"$scratch/faults"
}
none='no-such-file'
# call NAMES: a regex for a call of one of them, not of a member or a longer name
call() {
    printf '(.*[^A-Za-z0-9_.>])?(%s) *\\(' "$1"
}
include() {
    printf ' *# *include *[<"](%s)' "$1"
}

only "$(call 'malloc|calloc|realloc|free|strdup|strndup|asprintf|vasprintf|aligned_alloc|posix_memalign|reallocarray')" \
    'lib/|stores/|projections/|testkit/' 'lib/base/memory\.c' 'only lib/base/memory.c calls the allocator'
only "$(call 'clock_gettime|time|gettimeofday|clock')" 'lib/|stores/|projections/|testkit/' 'lib/base/clock\.c' 'only lib/base/clock.c reads a clock'
only "$(call 'sprintf|vsprintf|strcpy|strcat|strncpy|strncat|gets|rand|srand|random|strtok|atoi|atol|atof|alloca')" \
    'lib/|stores/|projections/|testkit/|tools/|examples/' "$none" 'not used in this project'
only "$(call 'sleep|usleep|nanosleep|clock_nanosleep')" 'lib/|stores/|projections/|testkit/|tools/' 'lib/base/clock\.c' 'nothing sleeps to wait'
only "$(call 'printf|puts|putchar|perror|abort|exit|_exit')" 'lib/|stores/|projections/' "$none" 'the library neither prints nor ends the program'
only "$(call 'printf|fprintf|puts|fputs|putchar|perror|abort|exit|_exit')" 'testkit/' 'testkit/fail\.c' 'the kit tells failures in one place'
only "$(include 'cmocka\.h')" 'include/|lib/|stores/|projections/|testkit/|tools/|examples/' "$none" 'only tests see cmocka'
only "$(include 'uuid/uuid\.h')" 'include/|lib/|stores/|projections/|testkit/|tools/|examples/' 'lib/base/(id|uuid)[a-z_]*\.c' 'only the ids see libuuid'
only "$(include 'msgpack[./]')" 'include/|lib/|stores/|projections/|testkit/|tools/|examples/' 'lib/message/codec_msgpack\.c' 'only codec_msgpack.c sees msgpack'
only "$(include 'sqlite3\.h')" 'include/|lib/|stores/|projections/|testkit/|tools/|examples/' '((stores/sqlite|projections)/[a-z_]*\.[ch]|examples/bank/report\.c)' \
    'only stores/sqlite, projections, and the reader of a read database see SQLite'
only "$(include 'jansson\.h')" 'include/|lib/|stores/|projections/|testkit/|tools/|examples/' 'lib/message/[a-z_]*\.[ch]' 'only lib/message sees jansson'
only "$(include 'pthread\.h|threads\.h')" 'include/|lib/|stores/|projections/|testkit/|tools/|examples/' '((lib/base|lib/runtime|lib/bus|lib/app|lib/store|stores/[a-z]*|projections)/[a-z_]*\.[ch]|lib/aggregate/cache\.[ch]|testkit/faults\.c)' \
    'threads meet in lib/base, lib/runtime, lib/store, the backends, the bus, the projections, the cache of aggregates and the control of failing stores'
only "$(call 'pthread_create')" 'lib/|stores/|projections/|testkit/' '(lib/runtime|lib/store|stores/[a-z]*)/[a-z_]*\.[ch]' 'threads begin in lib/runtime and under the store'

echo "$(cut -d: -f1 "$scratch/code" | sort -u | wc -l) files"
cat "$scratch/faults"
[ ! -s "$scratch/faults" ]
