/* New ids for those who have read the clock already. */
#ifndef STELE_BASE_UUID_H
#define STELE_BASE_UUID_H

#include <stele/uuid.h>

/* stele_uuid_new() at `now`, which stele_time_now() has just returned. */
struct stele_uuid stele__uuid_new_at(int64_t now);

#endif
