/* What the stock observers use of the registry beyond stele/observe.h. Thread-safe. */
#ifndef STELE_BUS_OBSERVERS_H
#define STELE_BUS_OBSERVERS_H

#include "bus/bus.h"

/* stele_bus_add_observer() and its like, for a registry. Only the name, the pattern and the functions of `observer` are
 * borrowed, until its context is freed; the struct itself is copied. */
stele_status stele__observers_add(struct stele__observers *observers, const struct stele_observer *observer,
                                  void *context, stele_error **error);
bool stele__observers_remove(struct stele__observers *observers, const char *name);
stele_status stele__observers_stats(struct stele__observers *observers, const char *name,
                                    struct stele_observer_stats *out, stele_error **error);
stele_status stele__observers_flush(struct stele__observers *observers, uint32_t timeout_ms, stele_error **error);

/* Count something an observer was shown, and lost, as dropped. */
void stele__observers_lost(struct stele__observers *observers, const char *name);

/* What the ids of spans are made from; 0, the start, when nobody wants spans. */
void stele__observers_set_salt(struct stele__observers *observers, uint64_t salt);
uint64_t stele__observers_salt(const struct stele__observers *observers);
stele_runtime *stele__observers_runtime(const struct stele__observers *observers);

#endif
