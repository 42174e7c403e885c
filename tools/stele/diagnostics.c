/*
 * Records of the library's log, one line each, for who asks for them with
 * STELE_LOG=trace|debug|info|warning|error. A line that is too long is cut.
 */
#include "diagnostics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

enum { LINE_SIZE = 4096 };

static void show(void *context, const struct stele_log_record *record)
{
    char line[LINE_SIZE];
    (void)context;
    stele_log_print(record, line, sizeof(line));
    tool_say(NULL, "%s", line);
}

bool diagnostics_start(void)
{
    const char *wanted = getenv("STELE_LOG");
    if (wanted == NULL || wanted[0] == '\0')
        return true;
    for (enum stele_log_level level = STELE_LOG_TRACE; level <= STELE_LOG_ERROR; level++) {
        if (strcmp(wanted, stele_log_level_name(level)) == 0) {
            stele_log_use(show, NULL, level);
            return true;
        }
    }
    tool_say(NULL, "STELE_LOG: '%s' is not trace, debug, info, warning or error", wanted);
    return false;
}
