/*
 * Making errors. An error is set once, where the fault is known; callers above
 * may put words in front of it with stele__error_prefix(). Every function takes
 * `error` as NULL. Those that make an error return its status, so that
 * `return stele__fail(...)` is the usual way out.
 */
#ifndef STELE_BASE_ERROR_H
#define STELE_BASE_ERROR_H

#include <stele/error.h>

/* Set `*error` (if wanted) to a new error with a printf-formatted message; returns `status`. */
stele_status stele__fail(stele_error **error, stele_status status, const char *format, ...) STELE_PRINTF(3, 4);

/* Add a fact to the error's context (see stele_error_get()); the texts are copied. Nothing is added where `error` or
 * `*error` is NULL, nor where memory is out. */
void stele__error_add(stele_error **error, const char *name, const char *format, ...) STELE_PRINTF(3, 4);

/* Put words in front of the message: "words: message". */
void stele__error_prefix(stele_error **error, const char *format, ...) STELE_PRINTF(2, 3);

/* STELE_NO_MEMORY with the static error object. */
stele_status stele__fail_memory(stele_error **error);

/* STELE_INVALID naming an argument: "ARGUMENT: why"; adds "argument". */
stele_status stele__fail_argument(stele_error **error, const char *argument, const char *why);

/* STELE_LIMIT: "WHAT is ACTUAL UNIT long, the limit is LIMIT"; adds "field", "limit", "actual". */
stele_status stele__fail_limit(stele_error **error, const char *what, uint64_t actual, uint64_t limit,
                               const char *unit);

/* STELE_CONFLICT with a copy of `conflict`, its texts included, and a message made of it. */
stele_status stele__fail_conflict(stele_error **error, const struct stele_conflict *conflict);

/*
 * Check an options struct whose first member is its size: NULL is fine; a size
 * below `least` or a non-zero byte beyond `known` is STELE_INVALID.
 */
stele_status stele__options_check(const void *options, size_t least, size_t known, const char *name,
                                  stele_error **error);

#endif
