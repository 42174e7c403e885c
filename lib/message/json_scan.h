/* The pass over a JSON text before it is parsed. */
#ifndef STELE_MESSAGE_JSON_SCAN_H
#define STELE_MESSAGE_JSON_SCAN_H

#include <stele/base.h>
#include <stele/error.h>

#include "base/vector.h"

/* An integer literal above INT64_MAX. */
struct stele__json_literal {
    uint64_t value;
    size_t end;     /* the offset behind its last digit */
    size_t ordinal; /* its number among the document's reals, itself and its like included, from 0 */
};

/*
 * Check UTF-8, nesting, the range of integers and the size of the tree to come (errors as stele__json_parse()), and
 * add the literals above INT64_MAX to `wide`, a vector of struct stele__json_literal, in document order. Grammar is
 * not checked: of a text that is not JSON, only what comes before the fault is seen as a parser sees it.
 */
stele_status stele__json_scan(struct stele_slice text, struct stele__vector *wide, stele_error **error);

#endif
