/* A foreign event loop that drives a runtime. */
#include "tests/support/support.h"

#include "tests/unit/runtime/descriptor_cases.h"
