#!/bin/sh
# The examples in the comments of the public headers compile. An example stands
# between two marker lines of a comment:
#
#      *     @example append (stele_store *store)
#      *         ...statements that use `store`...
#      *     @end
#
# The parameters after the name are what the statements take for granted; an
# example without them stands at file scope.
set -u
# shellcheck source=tree.sh
. "$(dirname "$0")/tree.sh"

{
    printf '#include <%s>\n' assert.h inttypes.h stdio.h stdlib.h string.h
    public_headers | sed 's/.*/#include <&>/'
} >"$scratch/head.c"

c_files include | xargs -r awk -v scratch="$scratch" '
    /^ \* *@example / {
        name = $3
        parameters = $0
        sub(/^ \* *@example +[^ ]+ */, "", parameters)
        wrapped = parameters != ""
        file = scratch "/" name ".example.c"
        if (name in seen) { print "two examples are called " name > (scratch "/faults") }
        seen[name] = 1
        system("cp " scratch "/head.c " file)
        if (wrapped) print "void example" parameters ";\nvoid example" parameters "\n{" >> file
        printf "#line %d \"%s\"\n", FNR + 1, FILENAME >> file
        copying = 1
        next
    }
    copying && /^ \* *@end/ {
        if (wrapped) print "}" >> file
        close(file)
        copying = 0
        next
    }
    copying { sub(/^ \* ?/, ""); print >> file }
    copying && /\*\/$/ { print "the example " name " has no @end" > (scratch "/faults"); copying = 0 }'

if [ -s "$scratch/faults" ]; then
    cat "$scratch/faults"
    exit 1
fi
count=0 status=0
for example in "$scratch"/*.example.c; do
    [ -e "$example" ] || { echo "there are no examples"; exit 77; }
    "$CC" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wno-unused -Wno-missing-field-initializers -Werror -Iinclude \
        -fsyntax-only "$example" || status=1
    count=$((count + 1))
done
echo "$count examples"
exit $status
