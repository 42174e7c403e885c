/*
 * stele/log.h - what the library has to say beyond its return values.
 *
 * The library never prints. It hands records of a level, a message and
 * key=value fields to one hook, if a program sets one.
 */
#ifndef STELE_LOG_H
#define STELE_LOG_H

#include <stele/base.h>

#ifdef __cplusplus
extern "C" {
#endif

enum stele_log_level { STELE_LOG_TRACE, STELE_LOG_DEBUG, STELE_LOG_INFO, STELE_LOG_WARNING, STELE_LOG_ERROR };

/* One fact of a record. Both texts are NUL-terminated UTF-8. */
struct stele_log_field {
    const char *key;
    const char *value;
};

/* A log record, borrowed for the call of the hook. */
struct stele_log_record {
    enum stele_log_level level;
    const char *message; /* a constant text without variable parts */
    const struct stele_log_field *fields;
    size_t field_count;
};

typedef void stele_log_hook(void *context, const struct stele_log_record *record);

/*
 * Hand every record of at least `level` to `hook`; NULL for none (the start).
 *
 * Set it before other threads use the library. The hook is called from any
 * thread, without a lock held, and must not call back into the library except
 * for stele_log_print().
 */
STELE_API void stele_log_use(stele_log_hook *hook, void *context, enum stele_log_level level);

/* "trace" to "error". Static. */
STELE_API const char *stele_log_level_name(enum stele_log_level level);

/*
 * Write a record as one line, `level message key=value ...`, into `text` of
 * `size` bytes, NUL-terminated, cut at `size`. Values with blanks, quotes or
 * control characters are quoted and escaped, so a line is always one line.
 * Returns the length the whole line has, as snprintf(3) does.
 */
STELE_API size_t stele_log_print(const struct stele_log_record *record, char *text, size_t size);

#ifdef __cplusplus
}
#endif

#endif
