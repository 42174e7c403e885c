/*
 * stele/base.h - the few values every other header speaks in.
 */
#ifndef STELE_BASE_H
#define STELE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define STELE_API __attribute__((visibility("default")))
#define STELE_PRINTF(text, first) __attribute__((format(printf, text, first)))
#else
#define STELE_API
#define STELE_PRINTF(text, first)
#endif

/*
 * A run of bytes that somebody else owns.
 *
 * `data` is NULL exactly when the slice means "absent"; an empty but present
 * slice has a non-NULL `data` and a `size` of 0. Slices of text carry no
 * terminating NUL unless the function that returns them says so.
 */
struct stele_slice {
    const char *data;
    size_t size; /* bytes */
};

/*
 * Start of every options struct: STELE_OPTIONS_INIT(struct stele_query) is an
 * initialiser with the struct's own size in its first member, so that a
 * program compiled against an older header keeps working with a newer library.
 * Members that are zero mean "the default"; passing NULL instead of options
 * means all defaults. A larger struct than the library knows is accepted only
 * if its unknown tail is all zero (otherwise STELE_INVALID).
 */
#define STELE_OPTIONS_INIT(type) \
    { \
        .size = sizeof(type) \
    }

/* The library's version as "major.minor.patch"; static. Thread-safe. */
STELE_API const char *stele_version(void);

#ifdef __cplusplus
}
#endif

#endif
