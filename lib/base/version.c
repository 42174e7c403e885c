/* The library's version, as the VERSION file at the top of the source says it. */
#include "config.h"

#include <stele/base.h>

const char *stele_version(void)
{
    return PACKAGE_VERSION;
}
