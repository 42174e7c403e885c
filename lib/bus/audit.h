/* The observers that write, for a registry instead of a bus. */
#ifndef STELE_BUS_AUDIT_H
#define STELE_BUS_AUDIT_H

#include "bus/observers.h"

stele_status stele__audit_new(struct stele__observers *observers, const char *path, unsigned kinds,
                              stele_error **error);
stele_status stele__log_observer_new(struct stele__observers *observers,
                                     const struct stele_log_observer_options *options, stele_error **error);

#endif
