/*
 * What the library has to say beyond its return values, on standard error.
 */
#ifndef STELE_TOOLS_DIAGNOSTICS_H
#define STELE_TOOLS_DIAGNOSTICS_H

#include <stele/base.h>

/* Show records of the level that the environment variable STELE_LOG names, and above; none without it. False if it
 * names no level; that is told. */
bool diagnostics_start(void);

#endif
