/*
 * The inside of a model.
 *
 *     text -> directives, statements (model_read.c) -> tried out on tables in memory (model_try.c)
 *         -> fields compared with registered types (model_types.c) -> bound and run for each event (model_run.c)
 */
#ifndef STELE_PROJECTIONS_MODEL_H
#define STELE_PROJECTIONS_MODEL_H

#include <stele/model.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/map.h"
#include "base/vector.h"
#include "projections/confine.h"
#include "projections/marks.h"

enum {
    MODEL_SQL_MAX = 100000, /* bytes of a statement, as any on a file of views */
    MODEL_FIELDS_MAX = 256  /* of the payload, in one section */
};

/* What a parameter is bound to. */
enum model_source {
    MODEL_STREAM,
    MODEL_VERSION,
    MODEL_POSITION,
    MODEL_TIME,
    MODEL_SUBJECT,
    MODEL_ID,
    MODEL_TYPE,
    MODEL_SOURCE,
    MODEL_PART,
    MODEL_FIELD
};

struct model_parameter {
    enum model_source source;
    size_t field;   /* of MODEL_FIELD: its index in the section */
    const char *at; /* in the text */
};

struct model_statement {
    struct stele_slice sql;             /* in the text */
    struct model_parameter *parameters; /* in the order of their numbers */
    size_t parameter_count;
};

struct model_field {
    struct stele_slice name;
    const char *at; /* in the text, where it is first */
};

/* What is done for some types of events. */
struct model_section {
    const char *at;              /* its directive, in the text */
    size_t first, count;         /* statements */
    struct stele__vector fields; /* struct model_field */
};

struct model_type {
    struct stele_slice name;
    size_t section;
};

struct stele_model {
    struct stele_arena arena;
    const char *path;
    struct stele_slice text; /* a copy; a NUL stands where a directive begins */
    const char *name;
    uint32_t version;
    uint8_t digest[STELE__DIGEST_SIZE];
    const char *tables;              /* with commas between */
    size_t schema_count;             /* statements that make tables: the first ones */
    struct stele__vector statements; /* struct model_statement */
    struct stele__vector sections;   /* struct model_section */
    struct stele__vector types;      /* struct model_type */
    const char **type_names;         /* for a subscriber */
};

static inline const struct model_statement *stele__model_statement(const stele_model *model, size_t index)
{
    return stele__vector_at(&model->statements, index);
}

static inline const struct model_section *stele__model_section(const stele_model *model, size_t index)
{
    return stele__vector_at(&model->sections, index);
}

/* STELE_MALFORMED, or another status, with "path" and "line": the line of `at`, a place in the text. */
stele_status stele__model_fault(const stele_model *model, stele_status status, const char *at, stele_error **error,
                                const char *format, ...) STELE_PRINTF(5, 6);

/* --- Trying statements out ------------------------------------------------------ */

/* Tables in memory, made by the model's own statements. */
struct model_scratch {
    sqlite3 *db;
    struct stele__confine confine;
    int ticks; /* of the statement that runs: after too many it is given up */
};
/* Empty; STELE_NO_MEMORY. To be finished in any case. */
stele_status stele__model_scratch_open(struct model_scratch *scratch, stele_error **error);
void stele__model_scratch_close(struct model_scratch *scratch);

/* Take in the statements of a piece of the text, which ends with a NUL: those that make tables, or (with `section`) those
 * for events. */
stele_status stele__model_take(stele_model *model, struct model_scratch *scratch, const char *from,
                               struct model_section *section, stele_error **error);
/* The same tables again, of a model that was read. */
stele_status stele__model_rebuild_scratch(const stele_model *model, struct model_scratch *scratch, stele_error **error);
/* Fail with what SQLite says of a statement. */
stele_status stele__model_fail_sql(const stele_model *model, const struct model_scratch *scratch, int code,
                                   struct stele_slice sql, stele_error **error);

/* --- Against the types of a store -------------------------------------------------- */

/* The fields of one type: which are UUIDs. */
struct model_shape {
    bool uuid[MODEL_FIELDS_MAX];
};
/* As stele_model_check(); `shapes` (may be NULL) has room for each type of the model. */
stele_status stele__model_check_types(const stele_model *model, stele_store *store,
                                      void (*warning)(void *context, const char *text), void *context,
                                      struct model_shape *shapes, stele_error **error);

#endif
