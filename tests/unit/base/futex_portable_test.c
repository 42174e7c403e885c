/* The same as in futex_test.c, as it is done on systems without futex(2). */
#include "tests/support/support.h"

#define STELE__FUTEX_PORTABLE
#include "lib/base/futex.c"

#include "tests/unit/base/futex_cases.h"
