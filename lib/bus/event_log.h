/* The event log, for a registry instead of a bus. */
#ifndef STELE_BUS_EVENT_LOG_H
#define STELE_BUS_EVENT_LOG_H

#include "bus/observers.h"

stele_status stele__event_log_new(struct stele__observers *observers, size_t capacity, stele_event_log **out,
                                  stele_error **error);

#endif
