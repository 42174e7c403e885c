/*
 * Projections in a file: views, filled in transactions that also move the mark.
 *
 *     subscription ─► load, { begin ─► receive* ─► commit | rollback }* ─► target ─► views
 *
 * What can fail: see target.h; the functions.
 */
#include "projections/projections.h"

#include "base/buffer.h"
#include "base/error.h"
#include "base/memory.h"
#include "base/text.h"
#include "message/value.h"
#include "projections/target.h"
#include "projections/views.h"

#include <inttypes.h>
#include <string.h>
#include <xxhash.h>

struct in_file {
    struct stele__running running;
    struct stele__target target;
    char *tables;
};

static struct in_file *of(void *context)
{
    return context;
}

/* --- What a projection's views are -------------------------------------------------------- */

static void print_view(struct stele__buffer *text, const struct stele_view *view)
{
    const struct stele_type *row = view->row;

    stele__buffer_print(text, "view %s %" PRIu32 " key %s\n", row->name, row->version, view->key);
    for (size_t i = 0; view->indexes && view->indexes[i]; i++)
        stele__buffer_print(text, "index %s\n", view->indexes[i]);
    for (size_t i = 0; i < row->field_count; i++)
        stele__buffer_print(text, "%s %s %d\n", row->fields[i].name, stele__kind_text(row->fields[i].kind),
                            row->fields[i].shape == STELE_SHAPE_OPTIONAL);
}

stele_status stele__projection_digest(const struct stele_projection *projection, uint8_t out[STELE__DIGEST_SIZE],
                                      stele_error **error)
{
    struct stele__buffer text;
    XXH128_canonical_t canonical;
    stele_status status;

    stele__buffer_init(&text);
    stele__buffer_print(&text, "category %s\n", projection->category ? projection->category : "");
    for (size_t i = 0; projection->views[i]; i++)
        print_view(&text, projection->views[i]);
    status = stele__buffer_finish(&text, "the projection", error);
    if (status == STELE_OK) {
        XXH128_canonicalFromHash(&canonical, XXH3_128bits(text.data, text.size));
        memcpy(out, canonical.digest, STELE__DIGEST_SIZE);
    }
    stele__buffer_fini(&text);
    return status;
}

stele_status stele__projection_tables(const struct stele_projection *projection, char **out, stele_error **error)
{
    struct stele__buffer text;
    stele_status status;

    stele__buffer_init(&text);
    for (size_t i = 0; projection->views[i]; i++)
        stele__buffer_print(&text, "%s%s", i ? "," : "", projection->views[i]->row->name);
    status = stele__buffer_finish(&text, "the projection", error);
    if (status == STELE_OK) {
        *out = stele__text_copy_slice(stele__buffer_slice(&text));
        status = *out ? STELE_OK : stele__fail_memory(error);
    }
    stele__buffer_fini(&text);
    return status;
}

stele_status stele__projection_make(const struct stele_projection *projection, stele_views *views, stele_error **error)
{
    stele_status status = STELE_OK;

    for (size_t i = 0; status == STELE_OK && projection->views[i]; i++)
        status = stele_view_create(views, projection->views[i], error);
    return status;
}

stele_status stele__projection_compare(const struct stele_projection *projection, stele_views *views,
                                       stele_error **error)
{
    struct view_table *table = NULL;
    stele_status status = STELE_OK;

    for (size_t i = 0; status == STELE_OK && projection->views[i]; i++)
        status = stele__view_table(views, projection->views[i], &table, error);
    return status == STELE_OK ? stele__projection_make(projection, views, error) : status;
}

static stele_status make(void *context, stele_views *views, stele_error **error)
{
    return stele__projection_make(of(context)->running.projection, views, error);
}

static stele_status compare(void *context, stele_views *views, stele_error **error)
{
    return stele__projection_compare(of(context)->running.projection, views, error);
}

/* --- Following ------------------------------------------------------------------------------ */

static stele_status load(void *context, uint64_t *position, stele_error **error)
{
    struct in_file *file = of(context);
    const stele_status status = stele__target_load(&file->target, position, error);

    return status == STELE_OK ? STELE_OK : stele__running_fault(&file->running, status, error);
}

static stele_status begin(void *context, stele_error **error)
{
    return stele__target_begin(&of(context)->target, error);
}

static stele_status receive(void *context, const stele_message *event, stele_error **error)
{
    struct in_file *file = of(context);

    return stele__project(&file->running.at, stele__target_views(&file->target), event, error);
}

static stele_status commit(void *context, uint64_t from, uint64_t to, stele_error **error)
{
    return stele__target_commit(&of(context)->target, from, to, error);
}

static void rollback(void *context)
{
    stele__target_rollback(&of(context)->target);
}

static stele_status set_target(struct in_file *file, stele_error **error)
{
    const struct stele__running *running = &file->running;
    struct stele__target *target = &file->target;
    stele_status status = stele__projection_digest(running->projection, target->digest, error);

    if (status == STELE_OK)
        status = stele__projection_tables(running->projection, &file->tables, error);
    target->store = running->projections->store;
    target->path = running->projections->file;
    target->name = running->name;
    target->version = running->version;
    target->tables = file->tables;
    target->make = make;
    target->check = compare;
    target->context = file;
    return status;
}

static stele_status start(struct stele__running *running, stele_error **error)
{
    struct in_file *file = of(running);
    const struct stele_subscriber how = {
        .receive = receive,
        .load = load,
        .begin = begin,
        .commit = commit,
        .rollback = rollback,
    };
    stele_status status = set_target(file, error);

    if (status == STELE_OK)
        status = stele__target_open(&file->target, error);
    return status == STELE_OK ? stele__running_subscribe(running, &how, error) : status;
}

static void stop(struct stele__running *running)
{
    struct in_file *file = of(running);

    stele__target_close(&file->target);
    stele__text_free(file->tables);
}

static struct stele__target *target(struct stele__running *running)
{
    return &of(running)->target;
}

const struct stele__running_kind stele__running_in_file = {
    .size = sizeof(struct in_file),
    .start = start,
    .stop = stop,
    .target = target,
};
