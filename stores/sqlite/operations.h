/*
 * What the optional operations share: the table, making files under another
 * name, and the SQL functions that the extension has too.
 */
#ifndef STELE_SQLITE_OPERATIONS_H
#define STELE_SQLITE_OPERATIONS_H

#include <stele/spi/operations.h>

#include "sqlite/sqlite.h"

#include <limits.h>

extern const struct stele_store_operations stele__sqlite_operations;

stele_status stele__sqlite_backup(struct stele_backend *backend, const struct stele_copy_request *request,
                                  stele_error **error);
stele_status stele__sqlite_compact(struct stele_backend *backend, stele_error **error);
stele_status stele__sqlite_format(struct stele_backend *backend, struct stele_format *out, stele_error **error);
stele_status stele__sqlite_type_sizes(struct stele_backend *backend, stele_type_size_visit *visit, void *context,
                                      stele_error **error);
stele_status stele__sqlite_table_sizes(struct stele_backend *backend, stele_table_size_visit *visit, void *context,
                                       stele_error **error);
stele_status stele__sqlite_sql(struct stele_backend *backend, const char *sql, uint32_t timeout_ms,
                               stele_sql_visit *visit, void *context, stele_error **error);

/* --- Files under another name (create.c) ---------------------------------------------------- */

/* A name in the folder of `path`, an absolute one, that nobody looks for. */
stele_status stele__sqlite_name_temporary(const char *path, char temporary[PATH_MAX], stele_error **error);
/* An empty file of that name, for its owner only; errors name `path`. */
stele_status stele__sqlite_make_temporary(const char *path, const char *temporary, stele_error **error);
/* Refuse the place of a new store where a log lies that would be played over it. STELE_INVALID. */
stele_status stele__sqlite_check_beside(const char *path, stele_error **error);
/* Give it the name, if that is free. 0, EEXIST if it is not, or another code of errno(3). */
int stele__sqlite_rename_new(const char *temporary, const char *path);
/* Make a renaming in the folder of `path` durable. */
stele_status stele__sqlite_sync_folder(const char *path, stele_error **error);
/* Remove the file and what SQLite may have put beside it; harmless if nothing is there. */
void stele__sqlite_remove_temporary(const char *temporary);

/* --- SQL functions (functions.c) --------------------------------------------------------------- */

/*
 * Add stele_json(), stele_id(), stele_time() and stele_sound() to a connection;
 * an SQLite result code. The last one fails for a damaged event, and puts its
 * position into `*damaged` (may be NULL), which must outlive the connection.
 */
int stele__sqlite_add_functions(sqlite3 *db, int64_t *damaged);

/* The text that makes the view `events`. */
extern const char stele__sqlite_events_view[];

#endif
