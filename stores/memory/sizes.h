/* How many events each type has, and in how many bytes. */
#ifndef STELE_MEMORY_SIZES_H
#define STELE_MEMORY_SIZES_H

#include <stele/spi/operations.h>

#include "memory/log.h"

/* Visit the types of a sequence, the largest first. STELE_NO_MEMORY. */
stele_status memory__sum_types(const struct memory__sequence *sequence, stele_type_size_visit *visit, void *context,
                               stele_error **error);

#endif
