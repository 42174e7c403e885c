/* The types of the bank's events, and how those of older ledgers are read. */
#ifndef BANK_HISTORY_H
#define BANK_HISTORY_H

#include <stele.h>

extern const struct stele_upcaster bank_upcasters[];
extern const size_t bank_upcaster_count;

/* All that is stored, as it is today. */
extern const struct stele_type *const bank_events[];
extern const size_t bank_event_count;

#endif
