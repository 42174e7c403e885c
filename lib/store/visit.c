/*
 * Reading without copies: folding over a query for the repository, and finding
 * single events.
 *
 *     backend's row -> record (borrowed) -> lent messages (reading.h) -> visitor
 *
 * What can fail: the query, the backend, a row that cannot be read.
 */
#include "base/error.h"
#include "base/text.h"
#include "store/reading.h"

#include <inttypes.h>

struct visiting {
    struct stele__scan scan;
    stele__message_visit *visit;
    void *context;
    bool stopped;
    uint64_t position;  /* of the last event */
    uint64_t left;      /* of the limit, with upcasters */
    stele_status fault; /* of a record that is no message */
    stele_error *fault_error;
    struct stele__reading reading;
};

/* What upcasters made of one event is lent as a whole, also beyond the limit. */
static bool lend_parts(struct visiting *visiting)
{
    const struct stele__reading *reading = &visiting->reading;

    for (size_t i = 0; i < reading->count; i++) {
        if (!visiting->visit(visiting->context, &reading->messages[i]))
            return false;
    }
    visiting->left -= reading->count < visiting->left ? reading->count : visiting->left;
    return visiting->left > 0;
}

static bool visit_record(void *context, const struct stele_record *record)
{
    struct visiting *visiting = context;

    visiting->scan.visited++;
    visiting->position = record->position;
    visiting->fault = stele__reading_take(&visiting->reading, record, &visiting->fault_error);
    if (visiting->fault == STELE_OK &&
        (visiting->reading.upcasting ? lend_parts(visiting)
                                     : visiting->visit(visiting->context, &visiting->reading.lent)))
        return true;
    visiting->stopped = true;
    return false;
}

static stele_status visit_all(const stele_store *store, struct visiting *visiting, stele_error **error)
{
    stele_status status = STELE_OK;

    while (status == STELE_OK && !visiting->stopped && !visiting->scan.done)
        status = stele__scan_step(store, &visiting->scan, visit_record, visiting, error);
    if (visiting->fault == STELE_OK)
        return status;
    if (error)
        *error = visiting->fault_error;
    else
        stele_error_free(visiting->fault_error);
    return visiting->fault;
}

stele_status stele__store_visit(stele_store *store, const struct stele_query *query, stele__message_visit *visit,
                                void *context, struct stele_head *head, stele_error **error)
{
    struct visiting visiting = {.visit = visit, .context = context};
    stele_status status = stele__store_check(store, error);

    if (status == STELE_OK)
        status = stele__scan_init(&visiting.scan, query, error);
    if (status == STELE_OK) {
        visiting.left = visiting.scan.wanted.limit;
        status = stele__reading_init(&visiting.reading, store, &visiting.scan, error);
    }
    if (status != STELE_OK)
        return status;
    status = visit_all(store, &visiting, error);
    stele__reading_fini(&visiting.reading);
    if (status == STELE_OK && head) {
        *head = visiting.scan.head;
        if (visiting.scan.wanted.limit == 0 || visiting.left == 0)
            head->position = visiting.position;
    }
    return status;
}

/* --- Single events ------------------------------------------------------------------------- */

struct finding {
    stele_message *message;
    bool came; /* a record */
    stele_status status;
    stele_error *error;
    struct stele__reading reading;
};

static bool keep_record(void *context, const struct stele_record *record)
{
    struct finding *finding = context;

    finding->came = true;
    finding->status = stele__reading_take(&finding->reading, record, &finding->error);
    if (finding->status != STELE_OK)
        return false;
    if (finding->reading.count == 0) {
        finding->status = stele__fail(&finding->error, STELE_NOT_FOUND,
                                      "the event at position %" PRIu64 " is read as none", record->position);
        stele__error_add(&finding->error, "position", "%" PRIu64, record->position);
        return false;
    }
    finding->message = stele__message_seal(&finding->reading.messages[0]);
    if (!finding->message)
        finding->status = stele__fail_memory(&finding->error);
    return false;
}

static stele_status take_found(struct finding *finding, stele_message **out, stele_error **error)
{
    if (finding->status == STELE_OK)
        *out = finding->message;
    else if (error)
        *error = finding->error;
    else
        stele_error_free(finding->error);
    return finding->status;
}

stele_status stele_find(stele_store *store, const char *id, stele_message **out, stele_error **error)
{
    struct finding finding = {0};
    struct stele_record wanted = {0};
    stele_message named;
    stele_status status = stele__store_check(store, error);

    if (status == STELE_OK && (!id || !out))
        status = stele__fail_argument(error, id ? "out" : "id", "is NULL");
    if (status == STELE_OK)
        status = stele__name_check(stele__slice(id), "id", STELE_ID_MAX, error);
    if (status != STELE_OK)
        return status;
    stele__message_set_id(&named, stele__slice(id));
    wanted.id_is_uuid = named.id_is_uuid;
    if (named.id_is_uuid)
        wanted.uuid = named.uuid;
    else
        wanted.id = named.id;
    stele__reading_init(&finding.reading, store, NULL, NULL);
    status = store->ops->find(store->backend, &wanted, keep_record, &finding, error);
    stele__reading_fini(&finding.reading);
    if (status != STELE_OK)
        return status;
    if (!finding.came) {
        stele__fail(error, STELE_NOT_FOUND, "there is no event with the id \"%s\"", id);
        stele__error_add(error, "id", "%s", id);
        return STELE_NOT_FOUND;
    }
    return take_found(&finding, out, error);
}

static bool note_place(void *context, const struct stele_record *record)
{
    struct stele__place_in_stream *place = context;

    place->version = record->version;
    place->time = record->time;
    return false;
}

stele_status stele__store_place(stele_store *store, const struct stele_uuid *id, struct stele__place_in_stream *out,
                                stele_error **error)
{
    const struct stele_record wanted = {.id_is_uuid = true, .uuid = *id};
    stele_status status = stele__store_check(store, error);

    *out = (struct stele__place_in_stream){0};
    if (status == STELE_OK)
        status = store->ops->find(store->backend, &wanted, note_place, out, error);
    return status;
}

stele_status stele_find_position(stele_store *store, uint64_t position, stele_message **out, stele_error **error)
{
    struct finding finding = {0};
    struct stele_scan wanted = {.after = position - 1, .until = position, .limit = 1};
    struct stele_scan_end end = {0};
    stele_status status = stele__store_check(store, error);

    if (status == STELE_OK && !out)
        status = stele__fail_argument(error, "out", "is NULL");
    if (status == STELE_OK && (position == 0 || position > STELE_VERSION_MAX))
        status = stele__fail_argument(error, "position", "is not between 1 and STELE_VERSION_MAX");
    if (status != STELE_OK)
        return status;
    stele__reading_init(&finding.reading, store, NULL, NULL);
    status = store->ops->read(store->backend, &wanted, keep_record, &finding, &end, error);
    stele__reading_fini(&finding.reading);
    if (status != STELE_OK)
        return status;
    if (!finding.came) {
        stele__fail(error, STELE_NOT_FOUND, "there is no event at position %" PRIu64, position);
        stele__error_add(error, "position", "%" PRIu64, position);
        return STELE_NOT_FOUND;
    }
    return take_found(&finding, out, error);
}
