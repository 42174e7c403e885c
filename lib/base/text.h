/* Text: UTF-8, names, numbers, base64. Nothing here allocates. */
#ifndef STELE_BASE_TEXT_H
#define STELE_BASE_TEXT_H

#include <stele/base.h>
#include <stele/error.h>

#include <string.h>

/* A slice over a NUL-terminated text; absent for NULL. */
static inline struct stele_slice stele__slice(const char *text)
{
    struct stele_slice slice = {text, text ? strlen(text) : 0};
    return slice;
}

static inline bool stele__slice_equal(struct stele_slice left, struct stele_slice right)
{
    return left.size == right.size && (left.size == 0 || memcmp(left.data, right.data, left.size) == 0);
}

static inline bool stele__slice_begins_with(struct stele_slice text, struct stele_slice prefix)
{
    return text.size >= prefix.size && (prefix.size == 0 || memcmp(text.data, prefix.data, prefix.size) == 0);
}

/* Bytewise order, as memcmp(3): of two of which one begins the other, the shorter comes first. */
static inline int stele__slice_compare(struct stele_slice left, struct stele_slice right)
{
    const size_t common = left.size < right.size ? left.size : right.size;
    const int order = common ? memcmp(left.data, right.data, common) : 0;

    return order ? order : (left.size > right.size) - (left.size < right.size);
}

/*
 * True if valid UTF-8 (RFC 3629: no overlong forms, no surrogates, at most
 * U+10FFFF); else *offset is where the first malformed character begins.
 */
bool stele__utf8_valid(struct stele_slice text, size_t *offset);

/* Copy as much of a text as fits, its NUL included, cut between characters; '?' for each byte that is not UTF-8. In place
 * too. */
void stele__utf8_fit(char *out, size_t size, const char *text);

/* Code points in valid UTF-8. */
size_t stele__utf8_length(struct stele_slice text);

/* True if nothing but Unicode white space (White_Space property) is in it; also true for empty text. */
bool stele__utf8_blank(struct stele_slice text);

/*
 * Check a name: not empty (STELE_INVALID), at most `limit` bytes (STELE_LIMIT), valid UTF-8 without
 * control characters U+0000-001F, 007F-009F (STELE_INVALID with the byte's offset). `what` is the error's "field".
 */
stele_status stele__name_check(struct stele_slice name, const char *what, size_t limit, stele_error **error);

/* Decimal numbers that fill the slice, "-" for the signed one only, no blanks; false if malformed or out of range. */
bool stele__parse_u64(struct stele_slice text, uint64_t *out);
bool stele__parse_i64(struct stele_slice text, int64_t *out);

/* The value of a hexadecimal digit in either case; -1 if it is none. */
int stele__hex_digit(char digit);

/*
 * The shortest decimal text that reads back as the same double ("0.1"), always
 * with a '.' or an exponent so that it stays a real number; independent of the
 * locale. Not for NaN or infinities. Returns the length.
 */
enum { STELE__DOUBLE_TEXT_SIZE = 40 };
size_t stele__print_double(double value, char text[STELE__DOUBLE_TEXT_SIZE]);

/* Base64 of RFC 4648 section 4, with padding. */
size_t stele__base64_size(size_t bytes); /* characters needed, without NUL */
void stele__base64_encode(struct stele_slice bytes, char *text);
/* Decode into `bytes` (room for text.size / 4 * 3); false at *offset where it is malformed (non-canonical ends too). */
bool stele__base64_decode(struct stele_slice text, char *bytes, size_t *size, size_t *offset);

/* Match a dotted name: "a.b" exactly, "a.*" one level, "a.>" the rest (at least one level), "*" and ">" likewise. */
bool stele__pattern_match(struct stele_slice pattern, struct stele_slice name);
/* STELE_INVALID with the offset of an empty level, a '>' before the end, or a '*' or '>' inside a level. */
stele_status stele__pattern_check(struct stele_slice pattern, stele_error **error);

#endif
