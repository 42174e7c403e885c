/* A foreign event loop that drives a runtime, as on systems without epoll. */
#include "tests/support/support.h"

#define STELE__DESCRIPTOR_PORTABLE
#include "lib/runtime/descriptor.c"

#include "tests/unit/runtime/descriptor_cases.h"
