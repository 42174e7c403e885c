/* Sleeping on a word until it changes. */
#include "tests/support/support.h"

#include "lib/base/futex.c"

#include "tests/unit/base/futex_cases.h"
