/*
 * The pass over a JSON text before jansson parses it: refuses what would cost
 * jansson too much (nesting, the number of values) or what it cannot tell
 * apart, and finds the integers it cannot hold. Strings are passed over as a
 * whole, so brackets and digits in them do not count. What can fail:
 * STELE_MALFORMED for bytes that are not UTF-8, STELE_LIMIT, memory.
 */
#include "message/json_scan.h"

#include "base/error.h"
#include "base/text.h"
#include "message/json.h"

#include <stele/limits.h>

/* What a value costs as a jansson tree, in bytes, rounded up (64-bit machine, jansson 2.14, allocator included). */
enum { OBJECT_COST = 320, LIST_COST = 160, KEY_COST = 96, VALUE_COST = 64 };

enum { INT64_DIGITS = 19 }; /* literals with fewer characters fit an int64_t */

struct scan {
    const char *start;
    const char *at;
    const char *end;
    size_t depth;
    size_t cost;
    size_t reals;
    struct stele__vector *wide;
    stele_error **error;
};

static stele_status add_offset(const struct scan *scan, stele_status status)
{
    stele__error_add(scan->error, "offset", "%zu", (size_t)(scan->at - scan->start));
    return status;
}

/* The scan stands behind an opening quote; go behind the closing one, or to the end where it is missing. */
static void pass_string(struct scan *scan)
{
    while (scan->at < scan->end && *scan->at != '"')
        scan->at += *scan->at == '\\' && scan->end - scan->at > 1 ? 2 : 1;
    if (scan->at < scan->end)
        scan->at++;
}

static stele_status add_wide(struct scan *scan, struct stele_slice literal, uint64_t value)
{
    struct stele__json_literal *added = stele__vector_add(scan->wide);

    if (!added)
        return stele__fail_memory(scan->error);
    added->value = value;
    added->end = (size_t)(literal.data + literal.size - scan->start);
    added->ordinal = scan->reals++;
    return STELE_OK;
}

static bool all_digits(struct stele_slice literal)
{
    for (size_t i = literal.data[0] == '-' ? 1 : 0; i < literal.size; i++) {
        if (literal.data[i] < '0' || literal.data[i] > '9')
            return false;
    }
    return true;
}

static stele_status see_integer(struct scan *scan, struct stele_slice literal)
{
    int64_t narrow;
    uint64_t value;

    if (literal.size < INT64_DIGITS || stele__parse_i64(literal, &narrow) || !all_digits(literal))
        return STELE_OK;
    if (stele__parse_u64(literal, &value))
        return add_wide(scan, literal, value);
    stele__fail(scan->error, STELE_LIMIT, "JSON, byte %zu: the integer does not fit 64 bits",
                (size_t)(scan->at - scan->start));
    return add_offset(scan, STELE_LIMIT);
}

static stele_status see_number(struct scan *scan)
{
    struct stele_slice literal = {scan->at, 0};
    const char *at = scan->at;
    bool real = false;
    stele_status status = STELE_OK;

    while (at < scan->end && ((*at >= '0' && *at <= '9') || (*at && strchr("+-.eE", *at)))) {
        real = real || *at == '.' || *at == 'e' || *at == 'E';
        at++;
    }
    literal.size = (size_t)(at - literal.data);
    if (real)
        scan->reals++;
    else
        status = see_integer(scan, literal);
    if (status == STELE_OK)
        scan->at = at;
    return status;
}

static stele_status see_opening(struct scan *scan)
{
    if (scan->depth == STELE_NESTING_MAX) {
        stele__fail_limit(scan->error, "nesting", STELE_NESTING_MAX + 1, STELE_NESTING_MAX, "levels");
        return add_offset(scan, STELE_LIMIT);
    }
    scan->cost += *scan->at == '{' ? OBJECT_COST : LIST_COST;
    scan->depth++;
    scan->at++;
    return STELE_OK;
}

static stele_status see_character(struct scan *scan)
{
    switch (*scan->at) {
    case '"':
        scan->at++;
        pass_string(scan);
        return STELE_OK;
    case '{':
    case '[': return see_opening(scan);
    case '}':
    case ']': scan->depth -= scan->depth ? 1 : 0; break;
    case ',': scan->cost += VALUE_COST; break;
    case ':': scan->cost += KEY_COST; break;
    case '-':
    case '0':
    case '1':
    case '2':
    case '3':
    case '4':
    case '5':
    case '6':
    case '7':
    case '8':
    case '9': return see_number(scan);
    default: break;
    }
    scan->at++;
    return STELE_OK;
}

stele_status stele__json_scan(struct stele_slice text, struct stele__vector *wide, stele_error **error)
{
    struct scan scan = {
        .start = text.data, .at = text.data, .end = text.data + text.size, .wide = wide, .error = error};
    stele_status status = STELE_OK;
    size_t offset;

    if (!stele__utf8_valid(text, &offset)) {
        scan.at += offset;
        stele__fail(error, STELE_MALFORMED, "JSON, byte %zu: not valid UTF-8", offset);
        return add_offset(&scan, STELE_MALFORMED);
    }
    while (status == STELE_OK && scan.at < scan.end) {
        status = see_character(&scan);
        if (status == STELE_OK && scan.cost > STELE__JSON_TREE_MAX)
            status = stele__fail_limit(error, "JSON tree", scan.cost, STELE__JSON_TREE_MAX, "bytes");
    }
    return status;
}
