/*
 * Copies, compaction, formats, sizes and SQL: the front's part, which checks
 * and passes on, and looks at a copy before it gets its name.
 *
 *     backup:  backend copies to a temporary name -> opened here as a store, verified, counted -> renamed
 *     restore: backup opened for reading, verified -> copied like any store
 *
 * What can fail: the arguments, a backend that lacks the operation, a check
 * that finds damage, the backend itself.
 */
#include <stele/spi/operations.h>

#include "base/error.h"
#include "base/text.h"
#include "store/store.h"
#include "store/url.h"

#include <string.h>

static stele_status fail_unsupported(const stele_store *store, const char *what, stele_error **error)
{
    return stele__fail(error, STELE_INVALID, "a store of the kind \"%s\" has no %s", store->ops->scheme, what);
}

/* The backend's table, empty where it has none. */
static stele_status operations_of(const stele_store *store, struct stele_store_operations *out, stele_error **error)
{
    const stele_status status = stele__store_check(store, error);

    memset(out, 0, sizeof(*out));
    if (status == STELE_OK && store->ops->operations)
        *out = *store->ops->operations;
    return status;
}

/* --- Copies ------------------------------------------------------------------------------ */

struct copying {
    const struct stele_copy_options *options; /* may be NULL */
    struct stele_copied copied;
};

static stele_status count(stele_store *copy, const struct stele_verified *verified, struct stele_copied *out,
                          stele_error **error)
{
    struct stele_stats stats;
    const stele_status status = stele_stats(copy, &stats, error);

    if (status == STELE_OK)
        *out = (struct stele_copied){verified->events, verified->streams, stats.head, stats.bytes};
    return status;
}

/* What is wrong with it, in the words of the first fault. */
struct first_fault {
    bool found;
    char text[512];
};

static void keep_first(void *context, const char *text)
{
    struct first_fault *first = context;
    const size_t size = strlen(text) < sizeof(first->text) ? strlen(text) : sizeof(first->text) - 1;

    if (first->found)
        return;
    first->found = true;
    memcpy(first->text, text, size);
    first->text[size] = '\0';
}

static stele_status verify(stele_store *store, struct stele_verified *out, stele_error **error)
{
    struct first_fault first = {0};
    struct stele_verify_options options = STELE_OPTIONS_INIT(struct stele_verify_options);
    stele_status status;

    options.fault = keep_first;
    options.context = &first;
    status = stele_verify(store, &options, out, error);
    if (status == STELE_CORRUPT && first.found)
        stele__error_prefix(error, "%s", first.text);
    return status;
}

/* The backend's copy, before it has its name. */
static stele_status check_copy(void *context, const char *path, stele_error **error)
{
    struct copying *copying = context;
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    struct stele_verified verified = {0};
    stele_store *copy = NULL;
    stele_status status;

    options.mode = STELE_OPEN_READ_ONLY;
    options.payload_limit = STELE_PAYLOAD_MAX;
    status = stele_store_open(path, &options, &copy, error);
    if (status == STELE_OK)
        status = verify(copy, &verified, error);
    if (status == STELE_OK)
        status = count(copy, &verified, &copying->copied, error);
    stele_store_close(copy);
    if (status != STELE_OK)
        stele__error_prefix(error, "the copy is not good");
    return status;
}

static stele_status check_arguments(const char *path, const struct stele_copy_options *options, stele_error **error)
{
    if (!path)
        return stele__fail_argument(error, "path", "is NULL");
    return stele__options_check(options, sizeof(*options), sizeof(*options), "options", error);
}

static stele_status backup_to(const stele_store *store, const struct stele_store_operations *operations,
                              const struct stele__url *url, struct copying *copying, stele_error **error)
{
    struct stele_copy_request request = {
        .path = url->location,
        .check = check_copy,
        .check_context = copying,
    };

    if (url->backend->ops != store->ops || url->parameter_count > 0)
        return stele__fail_argument(error, "path", "must name a file, without parameters");
    if (copying->options) {
        request.overwrite = copying->options->overwrite;
        request.progress = copying->options->progress;
        request.progress_context = copying->options->context;
    }
    return operations->backup(store->backend, &request, error);
}

stele_status stele_backup(stele_store *store, const char *path, const struct stele_copy_options *options,
                          struct stele_copied *out, stele_error **error)
{
    struct stele_store_operations operations;
    struct copying copying = {.options = options};
    struct stele__url url;
    stele_status status = operations_of(store, &operations, error);

    if (status == STELE_OK)
        status = check_arguments(path, options, error);
    if (status != STELE_OK)
        return status;
    if (!operations.backup)
        return fail_unsupported(store, "backups", error);
    status = stele__url_parse(path, &url, error);
    if (status != STELE_OK)
        return status;
    status = backup_to(store, &operations, &url, &copying, error);
    stele__url_fini(&url);
    if (status == STELE_OK && out)
        *out = copying.copied;
    return status;
}

stele_status stele_restore(const char *backup, const char *path, const struct stele_copy_options *options,
                           struct stele_copied *out, stele_error **error)
{
    struct stele_store_options how = STELE_OPTIONS_INIT(struct stele_store_options);
    struct stele_verified verified = {0};
    stele_store *store = NULL;
    stele_status status = check_arguments(path, options, error);

    if (status != STELE_OK)
        return status;
    if (!backup)
        return stele__fail_argument(error, "backup", "is NULL");
    how.mode = STELE_OPEN_READ_ONLY;
    how.payload_limit = STELE_PAYLOAD_MAX;
    status = stele_store_open(backup, &how, &store, error);
    if (status != STELE_OK)
        return status;
    status = verify(store, &verified, error);
    if (status != STELE_OK)
        stele__error_prefix(error, "the backup is not good");
    else
        status = stele_backup(store, path, options, out, error);
    stele_store_close(store);
    return status;
}

/* --- Compaction and formats ------------------------------------------------------------------ */

stele_status stele_compact(stele_store *store, stele_error **error)
{
    struct stele_store_operations operations;
    stele_status status = operations_of(store, &operations, error);

    if (status == STELE_OK && !operations.compact)
        status = fail_unsupported(store, "compaction", error);
    if (status == STELE_OK)
        status = stele__store_check_writable(store, error);
    if (status != STELE_OK)
        return status;
    stele__store_enter(store);
    status = operations.compact(store->backend, error);
    stele__store_leave(store);
    return status;
}

stele_status stele_store_format(stele_store *store, struct stele_format *out, stele_error **error)
{
    struct stele_store_operations operations;
    struct stele_format format = {0};
    stele_status status = operations_of(store, &operations, error);

    if (status == STELE_OK && !out)
        status = stele__fail_argument(error, "out", "is NULL");
    if (status == STELE_OK && !operations.format)
        status = fail_unsupported(store, "format", error);
    if (status == STELE_OK)
        status = operations.format(store->backend, &format, error);
    if (status == STELE_OK)
        *out = format;
    return status;
}

/* Open the store in a mode, which may upgrade it, and ask for its format. */
static stele_status format_in(const char *url, enum stele_open_mode mode, struct stele_format *out, stele_error **error)
{
    struct stele_store_options options = STELE_OPTIONS_INIT(struct stele_store_options);
    stele_store *store = NULL;
    stele_status status;

    options.mode = mode;
    status = stele_store_open(url, &options, &store, error);
    if (status == STELE_OK)
        status = stele_store_format(store, out, error);
    stele_store_close(store);
    return status;
}

stele_status stele_upgrade(const char *url, struct stele_format *out, stele_error **error)
{
    struct stele_format before;
    struct stele_format after;
    stele_status status = format_in(url, STELE_OPEN_READ_ONLY, &before, error);

    if (status == STELE_OK && before.found < before.newest)
        status = format_in(url, STELE_OPEN_EXISTING, &after, error);
    if (status == STELE_OK && out)
        *out = before;
    return status;
}

/* --- Sizes and SQL ------------------------------------------------------------------------------ */

stele_status stele_type_sizes(stele_store *store, stele_type_size_visit *visit, void *context, stele_error **error)
{
    struct stele_store_operations operations;
    stele_status status = operations_of(store, &operations, error);

    if (status == STELE_OK && !visit)
        status = stele__fail_argument(error, "visit", "is NULL");
    if (status == STELE_OK && !operations.type_sizes)
        status = fail_unsupported(store, "sizes of types", error);
    return status == STELE_OK ? operations.type_sizes(store->backend, visit, context, error) : status;
}

stele_status stele_table_sizes(stele_store *store, stele_table_size_visit *visit, void *context, stele_error **error)
{
    struct stele_store_operations operations;
    stele_status status = operations_of(store, &operations, error);

    if (status == STELE_OK && !visit)
        status = stele__fail_argument(error, "visit", "is NULL");
    if (status == STELE_OK && !operations.table_sizes)
        status = fail_unsupported(store, "tables", error);
    return status == STELE_OK ? operations.table_sizes(store->backend, visit, context, error) : status;
}

stele_status stele_sql(stele_store *store, const char *sql, const struct stele_sql_options *options,
                       stele_sql_visit *visit, void *context, stele_error **error)
{
    struct stele_store_operations operations;
    stele_status status = operations_of(store, &operations, error);

    if (status == STELE_OK)
        status = stele__options_check(options, sizeof(*options), sizeof(*options), "options", error);
    if (status == STELE_OK && !sql)
        status = stele__fail_argument(error, "sql", "is NULL");
    if (status == STELE_OK && !visit)
        status = stele__fail_argument(error, "visit", "is NULL");
    if (status == STELE_OK && !operations.sql)
        status = fail_unsupported(store, "SQL", error);
    if (status != STELE_OK)
        return status;
    return operations.sql(store->backend, sql, options ? options->timeout_ms : 0, visit, context, error);
}
