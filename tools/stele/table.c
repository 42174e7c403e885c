/*
 * Tables. Cells are made harmless as they come (safe.h) and lie in an arena
 * until a page is full; then the widths are taken and the rows written.
 * Out of memory ends the program; a failed write shows in table_flush().
 */
#include "table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "safe.h"
#include "tool.h"

enum { TABLE_PAGE_ROWS = 256, TABLE_PAGE_BYTES = 1024 * 1024, TABLE_GAP = 2, TABLE_LAST_MIN = 16 };

struct cell {
    struct stele_slice text;
    size_t columns;
};

struct table {
    const struct table_column *columns;
    size_t column_count;
    size_t widths[TABLE_COLUMNS_MAX];
    struct cell cells[TABLE_PAGE_ROWS * TABLE_COLUMNS_MAX];
    size_t cell_count;
    stele_arena *arena; /* the text of the cells */
    size_t screen;      /* columns of the terminal; SAFE_UNLIMITED elsewhere */
    bool coloured;
    bool headed; /* the heading is written */
};

struct table *table_new(const struct table_column *columns)
{
    struct table *table = tool_have(calloc(1, sizeof(*table)));
    table->columns = columns;
    while (columns[table->column_count].title != NULL) {
        table->widths[table->column_count] = strlen(columns[table->column_count].title);
        table->column_count++;
    }
    table->arena = tool_arena();
    table->screen = output_is_terminal() ? output_columns() : SAFE_UNLIMITED;
    table->coloured = output_is_coloured();
    return table;
}

void table_free(struct table *table)
{
    if (table == NULL)
        return;
    stele_arena_free(table->arena);
    free(table);
}

void table_cell(struct table *table, struct stele_slice text)
{
    const struct safe_extent extent = safe_measure(text, table->screen);
    char *copy = tool_have(stele_arena_alloc(table->arena, extent.size));
    safe_write(text, &extent, copy);
    struct cell *cell = &table->cells[table->cell_count++];
    cell->text = (struct stele_slice){copy, extent.size};
    cell->columns = extent.columns;
    if (table->cell_count == TABLE_PAGE_ROWS * table->column_count ||
        (table->cell_count % table->column_count == 0 && stele_arena_used(table->arena) > TABLE_PAGE_BYTES))
        table_flush(table);
}

void table_text(struct table *table, const char *text)
{
    table_cell(table, (struct stele_slice){text, strlen(text)});
}

void table_number(struct table *table, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, number);
    table_text(table, text);
}

static void write_blanks(size_t count)
{
    for (size_t i = 0; i < count; i++)
        output_bytes(" ", 1);
}

static void write_coloured(const struct table *table, const char *colour, struct stele_slice text)
{
    const bool coloured = table->coloured && colour != NULL && text.size > 0;
    if (coloured)
        output_format("\033[%sm", colour);
    output_bytes(text.data, text.size);
    if (coloured)
        output_text("\033[0m");
}

/* The last column has what the others leave of the screen. */
static size_t last_width(const struct table *table)
{
    size_t used = 0;
    if (table->screen == SAFE_UNLIMITED)
        return SAFE_UNLIMITED;
    for (size_t i = 0; i + 1 < table->column_count; i++)
        used += table->widths[i] + TABLE_GAP;
    return used + TABLE_LAST_MIN < table->screen ? table->screen - used : TABLE_LAST_MIN;
}

static void write_last(const struct table *table, const struct cell *cell, const char *colour)
{
    const size_t width = last_width(table);
    if (cell->columns <= width) {
        write_coloured(table, colour, cell->text);
        return;
    }
    const struct safe_extent extent = safe_measure(cell->text, width);
    char *shortened = tool_have(malloc(extent.size));
    safe_write(cell->text, &extent, shortened);
    write_coloured(table, colour, (struct stele_slice){shortened, extent.size});
    free(shortened);
}

static void write_row(const struct table *table, const struct cell *cells, const char *colour)
{
    for (size_t i = 0; i < table->column_count; i++) {
        const struct table_column *column = &table->columns[i];
        const char *own = colour != NULL ? colour : column->colour;
        const bool last = i + 1 == table->column_count;
        const size_t blanks = table->widths[i] > cells[i].columns ? table->widths[i] - cells[i].columns : 0;
        if (column->right)
            write_blanks(blanks);
        if (last && !column->right)
            write_last(table, &cells[i], own);
        else
            write_coloured(table, own, cells[i].text);
        if (!last)
            write_blanks((column->right ? 0 : blanks) + TABLE_GAP);
    }
    output_bytes("\n", 1);
}

static void write_heading(struct table *table)
{
    struct cell cells[TABLE_COLUMNS_MAX];
    for (size_t i = 0; i < table->column_count; i++) {
        const size_t size = strlen(table->columns[i].title);
        cells[i] = (struct cell){{table->columns[i].title, size}, size};
    }
    write_row(table, cells, "1");
    table->headed = true;
}

bool table_flush(struct table *table)
{
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t *width = &table->widths[i % table->column_count];
        if (*width < table->cells[i].columns)
            *width = table->cells[i].columns;
    }
    if (!table->headed && table->cell_count > 0)
        write_heading(table);
    for (size_t i = 0; i < table->cell_count; i += table->column_count)
        write_row(table, &table->cells[i], NULL);
    table->cell_count = 0;
    stele_arena_reset(table->arena);
    return output_flush();
}
