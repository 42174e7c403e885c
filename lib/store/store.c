/*
 * Opening and closing a store, and the calls that only check and pass on.
 *
 *     URL -> url.c -> backend's open -> struct stele_store
 *
 * The front checks every argument here, once; the backend relies on it. What
 * can fail: the arguments, the backend (its own errors pass through), memory.
 */
#include "store/store.h"

#include "base/error.h"
#include "base/fork.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/upcast.h"
#include "store/companion.h"
#include "store/url.h"

#include <string.h>

stele_status stele__store_check(const stele_store *store, stele_error **error)
{
    if (!store)
        return stele__fail_argument(error, "store", "is NULL");
    if (store->generation != stele__fork_generation())
        return stele__fail(error, STELE_FORKED,
                           "the store was opened before fork(): fork first, and open it in each process");
    if (stele__queue_is_inside(&store->queue) && store->applying)
        return stele__fail_argument(error, "store", "is used by what takes part in its appends");
    return STELE_OK;
}

stele_status stele__store_check_writable(const stele_store *store, stele_error **error)
{
    const stele_status status = stele__store_check(store, error);

    if (status == STELE_OK && store->read_only)
        return stele__fail(error, STELE_READ_ONLY, "the store was opened for reading only");
    if (status == STELE_OK && stele__queue_is_inside(&store->queue))
        return stele__fail_argument(error, "store", "is in a transaction of this thread: end that first");
    return status;
}

void stele__store_enter(stele_store *store)
{
    stele__queue_enter(&store->queue);
}

void stele__store_leave(stele_store *store)
{
    stele__queue_wrote(&store->queue);
    stele__queue_leave(&store->queue);
}

stele_status stele__store_check_stream(struct stele_slice name, stele_error **error)
{
    if (!name.data)
        return stele__fail_argument(error, "stream", "is NULL");
    return stele__name_check(name, "stream", STELE_STREAM_MAX, error);
}

static stele_status check_options(const struct stele_store_options *options, stele_error **error)
{
    stele_status status = stele__options_check(options, sizeof(*options), sizeof(*options), "options", error);

    if (status != STELE_OK || !options)
        return status;
    if (options->mode < STELE_OPEN_CREATE || options->mode > STELE_OPEN_READ_ONLY)
        return stele__fail_argument(error, "options.mode", "is none of enum stele_open_mode");
    if (options->clock && (!options->clock->now || !options->clock->monotonic))
        return stele__fail_argument(error, "options.clock", "lacks a function");
    if (options->payload_limit > STELE_PAYLOAD_MAX)
        return stele__fail_limit(error, "options.payload_limit", options->payload_limit, STELE_PAYLOAD_MAX, "bytes");
    return stele__hooks_check(options->hooks, error);
}

static void describe(struct stele_open_request *request, const struct stele__url *url,
                     const struct stele_store_options *options)
{
    request->location = url->location;
    request->parameters = url->parameters;
    request->parameter_count = url->parameter_count;
    request->mode = options ? options->mode : STELE_OPEN_CREATE;
    request->clock = options && options->clock ? options->clock : stele_clock_system();
}

/* What is put over a backend; `wrap` NULL: nothing. */
struct wrapping {
    stele_backend_wrap *wrap;
    void *context;
};

static stele_status wrap_backend(stele_store *store, const struct wrapping *wrapping, stele_error **error)
{
    struct stele_backend *inner = store->backend;
    stele_status status;

    if (!wrapping->wrap)
        return STELE_OK;
    status = wrapping->wrap(wrapping->context, inner, &store->backend, error);
    if (status == STELE_OK)
        store->ops = store->backend->ops;
    else
        store->ops->close(inner);
    return status;
}

static stele_status open_backend(stele_store *store, const struct stele__url *url,
                                 const struct stele_store_options *options, const struct wrapping *wrapping,
                                 stele_error **error)
{
    struct stele_open_request request = {0};
    stele_status status;

    describe(&request, url, options);
    store->ops = url->backend->ops;
    store->clock = request.clock;
    store->read_only = request.mode == STELE_OPEN_READ_ONLY;
    store->hooks = options ? options->hooks : NULL;
    store->generation = stele__fork_generation();
    status = store->ops->open(&request, &store->backend, error);
    if (status != STELE_OK && error && *error && !stele_error_get(*error, "path"))
        stele__error_add(error, "path", "%s", url->location);
    return status == STELE_OK ? wrap_backend(store, wrapping, error) : status;
}

/* What watches the log and who reads it as it grows. */
static stele_status start_readers(stele_store *store, stele_error **error)
{
    stele_status status = stele__listeners_init(&store->listeners, error);

    if (status != STELE_OK)
        return status;
    status = stele__watch_init(&store->watch, store, error);
    if (status == STELE_OK && pthread_mutex_init(&store->subscribed.mutex, NULL) != 0) {
        stele__watch_fini(&store->watch);
        status = stele__fail_memory(error);
    }
    if (status != STELE_OK)
        stele__listeners_fini(&store->listeners);
    return status;
}

static stele_status start_queues(stele_store *store, const struct stele_store_options *options, stele_error **error)
{
    stele_status status =
        stele__queue_init(&store->queue, store->ops, store->backend, options ? options->queue_events : 0,
                          options ? options->queue_bytes : 0, error);

    if (status != STELE_OK)
        return status;
    store->queue.hooks = store->hooks;
    status = stele__later_init(&store->later, store, error);
    if (status == STELE_OK) {
        status = stele__idle_init(&store->idle, &store->queue, error);
        if (status != STELE_OK)
            stele__later_fini(&store->later);
    }
    if (status == STELE_OK) {
        status = start_readers(store, error);
        if (status != STELE_OK) {
            stele__idle_fini(&store->idle);
            stele__later_fini(&store->later);
        }
    }
    if (status != STELE_OK)
        stele__queue_fini(&store->queue);
    store->queue.idle = &store->idle;
    store->queue.listeners = &store->listeners;
    return status;
}

static stele_status compile_upcasters(stele_store *store, const struct stele_store_options *options,
                                      stele_error **error)
{
    store->payload_limit = options && options->payload_limit ? options->payload_limit : STELE_PAYLOAD_DEFAULT;
    if (!options || !options->upcaster_count)
        return STELE_OK;
    return stele__upcasting_new(options->upcasters, options->upcaster_count, store->payload_limit, &store->upcasting,
                                error);
}

static stele_status open_url(const struct stele__url *url, const struct stele_store_options *options,
                             const struct wrapping *wrapping, stele_store **out, stele_error **error)
{
    stele_store *store = stele__alloc(sizeof(*store));
    stele_status status;

    if (!store || !stele__fork_watch()) {
        stele__free(store, sizeof(*store));
        return stele__fail_memory(error);
    }
    atomic_init(&store->holds, 1);
    status = compile_upcasters(store, options, error);
    if (status == STELE_OK)
        status = open_backend(store, url, options, wrapping, error);
    if (status == STELE_OK) {
        status = start_queues(store, options, error);
        if (status != STELE_OK)
            store->ops->close(store->backend);
    }
    if (status == STELE_OK) {
        *out = store;
    } else {
        stele__upcasting_free(store->upcasting);
        stele__free(store, sizeof(*store));
    }
    return status;
}

static stele_status open_store(const char *url, const struct stele_store_options *options,
                               const struct wrapping *wrapping, stele_store **out, stele_error **error)
{
    struct stele__url parsed;
    stele_status status;

    if (!url)
        return stele__fail_argument(error, "url", "is NULL");
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    status = check_options(options, error);
    if (status == STELE_OK)
        status = stele__url_parse(url, &parsed, error);
    if (status != STELE_OK)
        return status;
    status = open_url(&parsed, options, wrapping, out, error);
    if (status == STELE_OK)
        STELE__LOG(STELE_LOG_DEBUG, "store opened", {"backend", parsed.backend->ops->scheme},
                   {"path", parsed.location});
    stele__url_fini(&parsed);
    return status;
}

stele_status stele_store_open(const char *url, const struct stele_store_options *options, stele_store **out,
                              stele_error **error)
{
    const struct wrapping none = {NULL, NULL};

    return open_store(url, options, &none, out, error);
}

stele_status stele_store_open_wrapped(const char *url, const struct stele_store_options *options,
                                      stele_backend_wrap *wrap, void *context, stele_store **out, stele_error **error)
{
    const struct wrapping wrapping = {wrap, context};

    if (!wrap)
        return stele__fail_argument(error, "wrap", "is NULL");
    return open_store(url, options, &wrapping, out, error);
}

stele_status stele_backend_fail(stele_error **error, stele_status status, const char *message)
{
    return stele__fail(error, status, "%s", message);
}

void stele__store_hold(stele_store *store)
{
    atomic_fetch_add(&store->holds, 1);
}

void stele__store_let_go(stele_store *store)
{
    /* In a forked child even the lock may be held by a thread that is not here. */
    if (store->generation != stele__fork_generation() || atomic_fetch_sub(&store->holds, 1) > 1)
        return;
    stele__watch_stop(&store->watch);
    stele__later_stop(&store->later);
    stele__idle_stop(&store->idle);
    stele__queue_fini(&store->queue);
    pthread_mutex_destroy(&store->subscribed.mutex);
    stele__watch_fini(&store->watch);
    stele__listeners_fini(&store->listeners);
    stele__idle_fini(&store->idle);
    stele__later_fini(&store->later);
    stele__companion_free(store);
    store->ops->close(store->backend);
    stele__upcasting_free(store->upcasting);
    stele__free(store, sizeof(*store));
}

void stele_store_close(stele_store *store)
{
    if (!store || store->generation != stele__fork_generation())
        return;
    if (atomic_load(&store->holds) > 1)
        STELE__LOG(STELE_LOG_WARNING, "a store is closed before what uses it: it stays open until that is freed",
                   {"backend", store->ops->scheme});
    stele__store_let_go(store);
}

/* --- Listing, waiting, counting --------------------------------------------- */

static stele_status check_stream_query(const struct stele_stream_query *query, stele_error **error)
{
    stele_status status = stele__options_check(query, sizeof(*query), sizeof(*query), "query", error);

    if (status == STELE_OK && query && query->category && *query->category)
        status = stele__name_check(stele__slice(query->category), "category", STELE_STREAM_MAX, error);
    if (status == STELE_OK && query && query->after && *query->after)
        status = stele__name_check(stele__slice(query->after), "after", STELE_STREAM_MAX, error);
    return status;
}

stele_status stele_streams(stele_store *store, const struct stele_stream_query *query, stele_stream_visit *visit,
                           void *context, stele_error **error)
{
    struct stele_stream_query wanted = STELE_OPTIONS_INIT(struct stele_stream_query);
    stele_status status = stele__store_check(store, error);

    if (status == STELE_OK)
        status = check_stream_query(query, error);
    if (status != STELE_OK)
        return status;
    if (!visit)
        return stele__fail_argument(error, "visit", "is NULL");
    if (query)
        wanted = *query;
    if (wanted.category && !*wanted.category)
        wanted.category = NULL;
    if (wanted.after && !*wanted.after)
        wanted.after = NULL;
    if (!wanted.limit)
        wanted.limit = UINT64_MAX;
    return store->ops->streams(store->backend, &wanted, visit, context, error);
}

stele_status stele_wait(stele_store *store, uint64_t position, uint32_t timeout_ms, uint64_t *head, stele_error **error)
{
    uint64_t found = 0;
    stele_status status = stele__store_check(store, error);

    if (status == STELE_OK && position > STELE_VERSION_MAX)
        status = stele__fail_argument(error, "position", "is beyond STELE_VERSION_MAX");
    if (status == STELE_OK)
        status = store->ops->wait(store->backend, position, timeout_ms, &found, error);
    if (status == STELE_OK && head)
        *head = found;
    return status;
}

stele_status stele_stats(stele_store *store, struct stele_stats *out, stele_error **error)
{
    struct stele_stats stats = {0};
    stele_status status = stele__store_check(store, error);

    if (status == STELE_OK && !out)
        status = stele__fail_argument(error, "out", "is NULL");
    if (status == STELE_OK)
        status = store->ops->stats(store->backend, &stats, error);
    if (status == STELE_OK)
        *out = stats;
    return status;
}
