/* The observers of a bus: the arguments are checked here, the rest is the registry's. */
#include "bus/audit.h"
#include "bus/event_log.h"
#include "bus/observers.h"
#include "bus/spans.h"

#include "base/error.h"

stele_status stele_bus_add_observer(stele_bus *bus, const struct stele_observer *observer, void *context,
                                    stele_error **error)
{
    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    if (!observer)
        return stele__fail_argument(error, "observer", "is NULL");
    return stele__observers_add(stele__bus_observers(bus), observer, context, error);
}

bool stele_bus_remove_observer(stele_bus *bus, const char *name)
{
    return stele__bus_is_usable(bus) && name && stele__observers_remove(stele__bus_observers(bus), name);
}

stele_status stele_bus_observer_stats(stele_bus *bus, const char *name, struct stele_observer_stats *out,
                                      stele_error **error)
{
    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    if (!name)
        return stele__fail_argument(error, "name", "is NULL");
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    return stele__observers_stats(stele__bus_observers(bus), name, out, error);
}

stele_status stele_bus_flush_observers(stele_bus *bus, uint32_t timeout_ms, stele_error **error)
{
    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    return stele__observers_flush(stele__bus_observers(bus), timeout_ms, error);
}

stele_status stele_event_log_add(stele_bus *bus, size_t capacity, stele_event_log **out, stele_error **error)
{
    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    return stele__event_log_new(stele__bus_observers(bus), capacity, out, error);
}

stele_status stele_audit_add(stele_bus *bus, const char *path, unsigned kinds, stele_error **error)
{
    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    if (!path)
        return stele__fail_argument(error, "path", "is NULL");
    return stele__audit_new(stele__bus_observers(bus), path, kinds, error);
}

stele_status stele_log_observer_add(stele_bus *bus, const struct stele_log_observer_options *options,
                                    stele_error **error)
{
    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    return stele__log_observer_new(stele__bus_observers(bus), options, error);
}

stele_status stele_spans_add(stele_bus *bus, stele_span_end *end, void *context, stele_error **error)
{
    if (!stele__bus_is_usable(bus))
        return stele__bus_fail_unusable(bus, error);
    if (!end)
        return stele__fail_argument(error, "end", "is NULL");
    return stele__spans_new(stele__bus_observers(bus), end, context, error);
}
