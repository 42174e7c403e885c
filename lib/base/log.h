/* Writing log records. */
#ifndef STELE_BASE_LOG_H
#define STELE_BASE_LOG_H

#include <stele/log.h>

/* True if a record of this level would reach the hook: guard costly field values with it. */
bool stele__log_wanted(enum stele_log_level level);

void stele__log(enum stele_log_level level, const char *message, const struct stele_log_field *fields, size_t count);

/* stele__log with fields in place: STELE__LOG(STELE_LOG_INFO, "store opened", {"path", path}, {"sqlite", version}) */
#define STELE__LOG(level, message, ...) \
    do { \
        if (stele__log_wanted(level)) { \
            const struct stele_log_field fields_[] = {__VA_ARGS__}; \
            stele__log(level, message, fields_, sizeof(fields_) / sizeof(fields_[0])); \
        } \
    } while (0)

#endif
