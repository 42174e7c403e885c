/*
 * stele/spi/operations.h - what a backend may offer beyond storing: see stele/operations.h.
 *
 * Every slot is optional: NULL means that the front answers STELE_INVALID. All
 * may block. As in stele/spi/store.h, the front has checked the arguments, and
 * errors are those of the front's functions.
 */
#ifndef STELE_SPI_OPERATIONS_H
#define STELE_SPI_OPERATIONS_H

#include <stele/operations.h>
#include <stele/spi/store.h>

#ifdef __cplusplus
extern "C" {
#endif

struct stele_copy_request {
    const char *path;
    bool overwrite;
    bool (*progress)(void *context, uint64_t done, uint64_t all); /* may be NULL */
    void *progress_context;
    /* Called with the path of the complete, synced copy before it gets its name: a failure of it is the call's. */
    stele_status (*check)(void *context, const char *path, stele_error **error);
    void *check_context;
};

struct stele_store_operations {
    size_t size; /* of this struct */

    /* Copy to a new file, whole or not at all. Any number of threads, beside appends. */
    stele_status (*backup)(struct stele_backend *backend, const struct stele_copy_request *request,
                           stele_error **error);

    /* One thread at a time with append: the front sees to it. */
    stele_status (*compact)(struct stele_backend *backend, stele_error **error);

    stele_status (*format)(struct stele_backend *backend, struct stele_format *out, stele_error **error);

    stele_status (*type_sizes)(struct stele_backend *backend, stele_type_size_visit *visit, void *context,
                               stele_error **error);
    stele_status (*table_sizes)(struct stele_backend *backend, stele_table_size_visit *visit, void *context,
                                stele_error **error);

    stele_status (*sql)(struct stele_backend *backend, const char *sql, uint32_t timeout_ms, stele_sql_visit *visit,
                        void *context, stele_error **error);
};

#ifdef __cplusplus
}
#endif

#endif
