/*
 * stele/uuid.h - identifiers: UUIDs of RFC 9562.
 *
 * New ones are of version 7: milliseconds of wall clock first, then a counter
 * and random bits, so that ids sort by the order in which one process made
 * them, also within a millisecond and when the clock steps back.
 */
#ifndef STELE_UUID_H
#define STELE_UUID_H

#include <stele/base.h>
#include <stele/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A UUID, its 16 bytes in network order. */
struct stele_uuid {
    uint8_t bytes[16];
};

enum { STELE_UUID_TEXT_SIZE = 37 }; /* 36 characters and a NUL */

/*
 * A new UUID of version 7, greater (by memcmp) than every one this process
 * made before. Never fails. Thread-safe.
 */
STELE_API struct stele_uuid stele_uuid_new(void);

/*
 * The UUID of version 5 (SHA-1) of a name in a name space: the same two always
 * give the same UUID, so that what is derived from an id can be made again.
 * Never fails. Thread-safe.
 */
STELE_API struct stele_uuid stele_uuid_derive(const struct stele_uuid *name_space, struct stele_slice name);

/* Write a UUID in its canonical text form: 36 lower-case characters, NUL-terminated. */
STELE_API void stele_uuid_print(const struct stele_uuid *uuid, char text[STELE_UUID_TEXT_SIZE]);

/*
 * Read the 36-character text form, either case.
 * STELE_MALFORMED names the offset of the first character that is wrong.
 */
STELE_API stele_status stele_uuid_parse(struct stele_slice text, struct stele_uuid *out, stele_error **error);

/* Order of two UUIDs as memcmp(3): negative, 0, positive. */
STELE_API int stele_uuid_compare(const struct stele_uuid *left, const struct stele_uuid *right);

#ifdef __cplusplus
}
#endif

#endif
