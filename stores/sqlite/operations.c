/* The table of what the store can do beyond storing. */
#include "sqlite/operations.h"

const struct stele_store_operations stele__sqlite_operations = {
    .size = sizeof(struct stele_store_operations),
    .backup = stele__sqlite_backup,
    .compact = stele__sqlite_compact,
    .format = stele__sqlite_format,
    .type_sizes = stele__sqlite_type_sizes,
    .table_sizes = stele__sqlite_table_sizes,
    .sql = stele__sqlite_sql,
};
