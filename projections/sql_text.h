/* Places in the text of SQL: enough to skip and to find, not to understand. */
#ifndef STELE_PROJECTIONS_SQL_TEXT_H
#define STELE_PROJECTIONS_SQL_TEXT_H

#include <stddef.h>

/* Beyond blanks, comments and semicolons. */
const char *stele__sql_skip(const char *at, const char *end);
/* Where a word stands, outside of comments and literals, in any case; NULL if it does not. */
const char *stele__sql_find(const char *from, const char *end, const char *word);

#endif
