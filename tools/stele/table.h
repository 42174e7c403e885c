/*
 * Tables for people: aligned columns under a heading, written as rows come in.
 *
 * Rows are kept until there are enough of them to know how wide the columns
 * are, then written; later rows widen a column if they must. On a terminal the
 * last column is cut to what fits; elsewhere nothing is cut.
 */
#ifndef STELE_TOOLS_TABLE_H
#define STELE_TOOLS_TABLE_H

#include <stele/base.h>

enum { TABLE_COLUMNS_MAX = 100 };

struct table_column {
    const char *title;
    bool right;         /* aligned to the right, for numbers */
    const char *colour; /* the parameters of an SGR sequence, such as "36", or NULL */
};

struct table;

/* A table over `columns`, which must outlive it and end with one without a title. */
struct table *table_new(const struct table_column *columns);

/* Add one cell; the last of a row ends the row. The text is copied and made harmless. */
void table_cell(struct table *table, struct stele_slice text);
void table_text(struct table *table, const char *text);
void table_number(struct table *table, uint64_t number);

/* Write the rows that are kept; false when output has failed. */
bool table_flush(struct table *table);

/* Free a table, rows not flushed included; NULL is allowed. */
void table_free(struct table *table);

#endif
