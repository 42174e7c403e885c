/*
 * Appending: arguments in, one member of a group out.
 *
 *     batch -> records and expectations, checked -> struct stele_append_member
 *           -> queue.c (groups of them) -> backend -> result, or the caller's done function
 *
 * Small batches are prepared on the stack, larger ones in an arena; who does
 * not wait leaves a copy of all in one block. What can fail before the queue:
 * names, limits, duplicate ids, malformed expectations (nothing has happened
 * then); behind it, what the backend says.
 */
#include "base/arena.h"
#include "base/error.h"
#include "base/map.h"
#include "base/memory.h"
#include "base/text.h"
#include "store/ledger.h"
#include "store/record.h"
#include "store/store.h"

#include <string.h>

enum { SMALL = 16 }; /* most writes, and most expectations, that are prepared without allocating */

/* Whose streams an append may write to. */
enum reach { REACH_USER, REACH_OWN };

struct preparation {
    struct stele_record small_records[SMALL];
    struct stele_stream_expectation small_expectations[SMALL];
    struct stele_record *records;
    struct stele_stream_expectation *expectations;
    const struct stele_command_record *command; /* NULL or `remembered` */
    struct stele_command_record remembered;
    size_t bytes;             /* of payloads and attributes */
    struct stele_arena arena; /* of the large ones */
};

/* --- Arguments ---------------------------------------------------------------- */

static stele_status check_batch(const struct stele_batch *batch, stele_error **error)
{
    if (!batch)
        return stele__fail_argument(error, "batch", "is NULL");
    if (!batch->writes && batch->write_count)
        return stele__fail_argument(error, "batch.writes", "is NULL");
    if (!batch->expectations && batch->expectation_count)
        return stele__fail_argument(error, "batch.expectations", "is NULL");
    if (batch->rejection && !batch->command)
        return stele__fail_argument(error, "batch.rejection", "there is no command that was refused");
    if (batch->rejection && batch->write_count)
        return stele__fail_argument(error, "batch.rejection", "a command that was refused has no events");
    if (batch->write_count > STELE_BATCH_EVENTS_MAX)
        return stele__fail_limit(error, "batch", batch->write_count, STELE_BATCH_EVENTS_MAX, "events");
    if (batch->expectation_count > STELE_BATCH_EVENTS_MAX)
        return stele__fail_limit(error, "batch.expectations", batch->expectation_count, STELE_BATCH_EVENTS_MAX,
                                 "expectations");
    return STELE_OK;
}

static stele_status allocate(struct preparation *preparation, const struct stele_batch *batch, stele_error **error)
{
    preparation->records = preparation->small_records;
    preparation->expectations = preparation->small_expectations;
    stele__arena_init(&preparation->arena);
    if (batch->write_count > SMALL)
        preparation->records =
            stele__arena_array(&preparation->arena, batch->write_count, sizeof(*preparation->records));
    if (batch->expectation_count > SMALL)
        preparation->expectations =
            stele__arena_array(&preparation->arena, batch->expectation_count, sizeof(*preparation->expectations));
    return preparation->records && preparation->expectations ? STELE_OK : stele__fail_memory(error);
}

/* --- Events ------------------------------------------------------------------- */

static stele_status check_target(struct stele_slice stream, enum reach reach, stele_error **error)
{
    stele_status status = stele__store_check_stream(stream, error);

    if (status != STELE_OK)
        return status;
    if (!stele__stream_is_own(stream) || reach == REACH_OWN)
        return STELE_OK;
    stele__fail(error, STELE_INVALID, "stream \"%s\": names that begin with '$' are the library's own", stream.data);
    stele__error_add(error, "stream", "%s", stream.data);
    return STELE_INVALID;
}

static stele_status take_write(const stele_store *store, const struct stele_write *write, enum reach reach,
                               struct stele_record *out, stele_error **error)
{
    const struct stele_slice stream = stele__slice(write->stream);
    stele_status status = check_target(stream, reach, error);

    if (status != STELE_OK)
        return status;
    if (!write->event)
        return stele__fail_argument(error, "event", "is NULL");
    stele__record_from_message(write->event, stream, out);
    if (out->payload.size > store->payload_limit)
        return stele__fail_limit(error, "payload", out->payload.size, store->payload_limit, "bytes");
    return STELE_OK;
}

static stele_status take_writes(const stele_store *store, const struct stele_batch *batch, enum reach reach,
                                struct preparation *preparation, stele_error **error)
{
    struct stele_record *records = preparation->records;
    size_t bytes = 0;

    for (size_t i = 0; i < batch->write_count; i++) {
        stele_status status = take_write(store, &batch->writes[i], reach, &records[i], error);

        if (status != STELE_OK) {
            if (batch->write_count > 1)
                stele__error_prefix(error, "event %zu of the batch", i + 1);
            return status;
        }
        /* At most 10,000 events of 16 MiB: the sum fits. */
        bytes += records[i].payload.size + records[i].meta.size;
    }
    if (bytes > STELE_BATCH_BYTES_MAX)
        return stele__fail_limit(error, "batch", bytes, STELE_BATCH_BYTES_MAX, "bytes");
    preparation->bytes = bytes;
    return STELE_OK;
}

static stele_status fail_twice(const struct stele_record *record, stele_error **error)
{
    char text[STELE_UUID_TEXT_SIZE];
    const struct stele_slice id = stele__record_id(record, text);

    stele__fail(error, STELE_INVALID, "the event id %.*s is in the batch twice", STELE_SLICE(id));
    stele__error_add(error, "argument", "batch.writes");
    stele__error_add(error, "id", "%.*s", STELE_SLICE(id));
    return STELE_INVALID;
}

static stele_status find_twice(const struct stele_record *records, size_t count, stele_error **error)
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (stele__record_same_id(&records[i], &records[j]))
                return fail_twice(&records[i], error);
    return STELE_OK;
}

static stele_status find_twice_by_map(struct stele_record *records, size_t count, stele_error **error)
{
    struct stele__map ids[2]; /* texts, UUIDs */
    stele_status status = STELE_OK;

    stele__map_init(&ids[0]);
    stele__map_init(&ids[1]);
    for (size_t i = 0; i < count && status == STELE_OK; i++) {
        struct stele__map *map = &ids[records[i].id_is_uuid];
        const struct stele_slice key = stele__record_id_bytes(&records[i]);

        if (stele__map_get(map, key))
            status = fail_twice(&records[i], error);
        else if (!stele__map_put(map, key, &records[i]))
            status = stele__fail_memory(error);
    }
    stele__map_fini(&ids[0]);
    stele__map_fini(&ids[1]);
    return status;
}

/* --- Expectations --------------------------------------------------------------- */

static stele_status fail_expectation(const char *stream, const char *why, stele_error **error)
{
    stele__fail(error, STELE_INVALID, "expectation on stream \"%s\": %s", stream, why);
    stele__error_add(error, "argument", "expected");
    stele__error_add(error, "stream", "%s", stream);
    return STELE_INVALID;
}

static stele_status take_expectation(const struct stele_expectation *expectation, struct stele_stream_expectation *out,
                                     stele_error **error)
{
    stele_status status;

    out->stream = stele__slice(expectation->stream);
    out->expected = expectation->expected;
    status = stele__store_check_stream(out->stream, error);
    if (status != STELE_OK)
        return status;
    if (out->expected.expect < STELE_EXPECT_ANY || out->expected.expect > STELE_EXPECT_VERSION)
        return fail_expectation(expectation->stream, "is none of enum stele_expect", error);
    if (out->expected.expect == STELE_EXPECT_VERSION && out->expected.version > STELE_VERSION_MAX)
        return fail_expectation(expectation->stream, "the version is beyond STELE_VERSION_MAX", error);
    return STELE_OK;
}

static stele_status fail_stream_twice(const struct stele_stream_expectation *expectation, stele_error **error)
{
    return fail_expectation(expectation->stream.data, "the batch has another one on this stream", error);
}

static stele_status find_stream_twice(struct stele_stream_expectation *expectations, size_t count, stele_error **error)
{
    struct stele__map streams;
    stele_status status = STELE_OK;

    stele__map_init(&streams);
    for (size_t i = 0; i < count && status == STELE_OK; i++) {
        if (stele__map_get(&streams, expectations[i].stream))
            status = fail_stream_twice(&expectations[i], error);
        else if (!stele__map_put(&streams, expectations[i].stream, &expectations[i]))
            status = stele__fail_memory(error);
    }
    stele__map_fini(&streams);
    return status;
}

static stele_status take_expectations(const struct stele_batch *batch, struct stele_stream_expectation *expectations,
                                      stele_error **error)
{
    const size_t count = batch->expectation_count;

    for (size_t i = 0; i < count; i++) {
        stele_status status = take_expectation(&batch->expectations[i], &expectations[i], error);

        if (status != STELE_OK)
            return status;
    }
    if (count > SMALL)
        return find_stream_twice(expectations, count, error);
    for (size_t i = 1; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (stele__slice_equal(expectations[i].stream, expectations[j].stream))
                return fail_stream_twice(&expectations[i], error);
    return STELE_OK;
}

/* --- The command ------------------------------------------------------------------ */

static stele_status check_rejection(struct stele_slice rejection, stele_error **error)
{
    size_t offset;

    if (rejection.size > STELE_REJECTION_MAX)
        return stele__fail_limit(error, "batch.rejection", rejection.size, STELE_REJECTION_MAX, "bytes");
    if (!stele__utf8_valid(rejection, &offset))
        return stele__fail_argument(error, "batch.rejection", "is not UTF-8");
    return STELE_OK;
}

static stele_status take_command(const stele_store *store, const struct stele_batch *batch, const uint8_t *digest,
                                 struct preparation *preparation, stele_error **error)
{
    struct stele_command_record *record = &preparation->remembered;

    preparation->command = NULL;
    if (!batch->command)
        return STELE_OK;
    stele__command_record(batch->command, digest, record);
    record->rejection = stele__slice(batch->rejection);
    record->time = store->clock->now(store->clock->context);
    preparation->command = record;
    preparation->bytes += record->rejection.size;
    return check_rejection(record->rejection, error);
}

/* --- The way through -------------------------------------------------------------- */

static stele_status prepare(const stele_store *store, const struct stele_batch *batch, enum reach reach,
                            const uint8_t *digest, struct preparation *preparation, stele_error **error)
{
    stele_status status = allocate(preparation, batch, error);

    if (status == STELE_OK)
        status = take_writes(store, batch, reach, preparation, error);
    if (status == STELE_OK)
        status = batch->write_count > SMALL ? find_twice_by_map(preparation->records, batch->write_count, error)
                                            : find_twice(preparation->records, batch->write_count, error);
    if (status == STELE_OK)
        status = take_expectations(batch, preparation->expectations, error);
    if (status == STELE_OK)
        status = take_command(store, batch, digest, preparation, error);
    return status;
}

static stele_status append(stele_store *store, const struct stele_batch *batch, const struct preparation *preparation,
                           struct stele_appended *result, stele_error **error)
{
    struct stele__queue_entry entry = {
        .member = {.records = preparation->records,
                   .record_count = batch->write_count,
                   .expectations = preparation->expectations,
                   .expectation_count = batch->expectation_count,
                   .command = preparation->command},
        .bytes = preparation->bytes,
    };

    stele__queue_append(&store->queue, &entry);
    stele__hook_outcome(stele__hooks_here(store->hooks), batch->writes, batch->write_count, &entry.member);
    if (entry.member.status == STELE_OK) {
        if (result)
            *result = entry.member.result;
    } else if (error) {
        *error = entry.member.error;
    } else {
        stele_error_free(entry.member.error);
    }
    return entry.member.status;
}

static stele_status append_batch(stele_store *store, const struct stele_batch *batch, enum reach reach,
                                 const uint8_t *digest, struct stele_appended *result, stele_error **error)
{
    struct preparation preparation; /* large: only the part in use is ever written */
    stele_status status = stele__store_check_writable(store, error);

    if (status == STELE_OK)
        status = check_batch(batch, error);
    if (status != STELE_OK)
        return status;
    status = prepare(store, batch, reach, digest, &preparation, error);
    if (status == STELE_OK)
        status = append(store, batch, &preparation, result, error);
    stele__arena_fini(&preparation.arena);
    return status;
}

stele_status stele__store_append(stele_store *store, const struct stele_batch *batch, const uint8_t *digest,
                                 struct stele_appended *result, stele_error **error)
{
    return append_batch(store, batch, REACH_USER, digest, result, error);
}

stele_status stele__store_append_own(stele_store *store, const struct stele_batch *batch, stele_error **error)
{
    return append_batch(store, batch, REACH_OWN, NULL, NULL, error);
}

stele_status stele_append_batch(stele_store *store, const struct stele_batch *batch, struct stele_appended *result,
                                stele_error **error)
{
    return append_batch(store, batch, REACH_USER, NULL, result, error);
}

stele_status stele_append(stele_store *store, const char *stream, struct stele_expected expected,
                          const stele_message *event, struct stele_appended *result, stele_error **error)
{
    const struct stele_write write = {stream, event};
    const struct stele_expectation expectation = {stream, expected};
    const struct stele_batch batch = {
        .writes = &write, .write_count = 1, .expectations = &expectation, .expectation_count = 1};

    return stele_append_batch(store, &batch, result, error);
}

/* --- Not waiting for it ----------------------------------------------------------- */

/*
 * What is kept of an asynchronous batch, in one block:
 *
 *     struct copy | records | expectations | writes | messages | texts, each with its NUL
 *
 * The messages are those of the writes and the command; the texts are the names
 * of the streams and the rejection.
 */
struct copy {
    struct stele__queue_entry entry; /* the first member */
    stele_append_done *done;
    void *context;
    size_t size; /* of the block */
    struct stele_record *records;
    struct stele_stream_expectation *expectations;
    struct stele_write *writes; /* for the hook */
    const struct stele_hooks *hooks;
    stele_message **messages;
    size_t message_count; /* referenced */
    struct stele_command_record command;
    char *texts; /* the first byte of them not used yet */
};

static void free_copy(struct copy *copy)
{
    for (size_t i = 0; i < copy->message_count; i++)
        stele_message_unref(copy->messages[i]);
    stele__free(copy, copy->size);
}

/* The queue's deliver function. */
static void tell(struct stele__queue_entry *entry)
{
    struct copy *copy = (struct copy *)entry;
    const struct stele_append_member *member = &entry->member;

    stele__hook_outcome(copy->hooks, copy->writes, member->record_count, member);
    copy->done(copy->context, member->status, member->status == STELE_OK ? &member->result : NULL, member->error);
    stele_error_free(member->error);
    free_copy(copy);
}

/* At most 10,000 of each, with names of at most 1,024 bytes: the sum fits. */
static size_t size_of_copy(const struct stele_batch *batch, const struct preparation *preparation)
{
    const size_t each = sizeof(struct stele_record) + sizeof(struct stele_write) + sizeof(stele_message *);
    size_t size = sizeof(struct copy) + batch->write_count * each +
                  batch->expectation_count * sizeof(struct stele_stream_expectation);

    if (batch->command)
        size += sizeof(stele_message *) + preparation->command->rejection.size + 1;
    for (size_t i = 0; i < batch->write_count; i++)
        size += preparation->records[i].stream.size + 1;
    for (size_t i = 0; i < batch->expectation_count; i++)
        size += preparation->expectations[i].stream.size + 1;
    return size;
}

static struct stele_slice copy_text(struct copy *copy, struct stele_slice text)
{
    const struct stele_slice place = {copy->texts, text.size};

    memcpy(copy->texts, text.data, text.size + 1);
    copy->texts += text.size + 1;
    return place;
}

/* One more reference for the copy to keep; NULL when memory is out. A lent message is copied by that. */
static const stele_message *keep(struct copy *copy, const stele_message *message)
{
    stele_message *kept = stele_message_ref(message);

    if (kept)
        copy->messages[copy->message_count++] = kept;
    return kept;
}

/* Records are made of what is kept. */
static bool copy_writes(struct copy *copy, const struct stele_batch *batch, const struct preparation *preparation)
{
    for (size_t i = 0; i < batch->write_count; i++) {
        const stele_message *message = keep(copy, batch->writes[i].event);

        if (!message)
            return false;
        stele__record_from_message(message, copy_text(copy, preparation->records[i].stream), &copy->records[i]);
        copy->writes[i] = (struct stele_write){copy->records[i].stream.data, message};
    }
    return true;
}

static bool copy_command(struct copy *copy, const struct stele_batch *batch, const struct preparation *preparation)
{
    const stele_message *message;

    if (!batch->command)
        return true;
    message = keep(copy, batch->command);
    if (!message)
        return false;
    stele__command_record(message, preparation->command->digest, &copy->command);
    copy->command.time = preparation->command->time;
    if (preparation->command->rejection.data)
        copy->command.rejection = copy_text(copy, preparation->command->rejection);
    copy->entry.member.command = &copy->command;
    return true;
}

static void copy_expectations(struct copy *copy, const struct stele_batch *batch, const struct preparation *preparation)
{
    for (size_t i = 0; i < batch->expectation_count; i++) {
        copy->expectations[i] = preparation->expectations[i];
        copy->expectations[i].stream = copy_text(copy, preparation->expectations[i].stream);
    }
}

/* NULL when memory is out. */
static struct copy *copy_batch(const struct stele_batch *batch, const struct preparation *preparation)
{
    const size_t size = size_of_copy(batch, preparation);
    struct copy *copy = stele__alloc(size);

    if (!copy)
        return NULL;
    copy->size = size;
    copy->records = (struct stele_record *)(copy + 1);
    copy->expectations = (struct stele_stream_expectation *)(copy->records + batch->write_count);
    copy->writes = (struct stele_write *)(copy->expectations + batch->expectation_count);
    copy->messages = (stele_message **)(copy->writes + batch->write_count);
    copy->texts = (char *)(copy->messages + batch->write_count + (batch->command != NULL));
    copy->entry.member = (struct stele_append_member){.records = copy->records,
                                                      .record_count = batch->write_count,
                                                      .expectations = copy->expectations,
                                                      .expectation_count = batch->expectation_count};
    if (!copy_writes(copy, batch, preparation) || !copy_command(copy, batch, preparation)) {
        free_copy(copy);
        return NULL;
    }
    copy_expectations(copy, batch, preparation);
    copy->entry.bytes = preparation->bytes;
    copy->entry.deliver = tell;
    return copy;
}

static stele_status push(stele_store *store, const struct stele_batch *batch, const struct preparation *preparation,
                         stele_append_done *done, void *context, stele_error **error)
{
    struct copy *copy = copy_batch(batch, preparation);
    stele_status status;

    if (!copy)
        return stele__fail_memory(error);
    copy->done = done;
    copy->context = context;
    copy->hooks = stele__hooks_here(store->hooks);
    status = stele__queue_push(&store->queue, &copy->entry, error);
    if (status != STELE_OK)
        free_copy(copy);
    return status;
}

stele_status stele_append_async(stele_store *store, const struct stele_batch *batch, stele_append_done *done,
                                void *context, stele_error **error)
{
    struct preparation preparation; /* as in stele_append_batch() */
    stele_status status = stele__store_check_writable(store, error);

    if (status == STELE_OK)
        status = check_batch(batch, error);
    if (status == STELE_OK && !done)
        status = stele__fail_argument(error, "done", "is NULL");
    if (status != STELE_OK)
        return status;
    status = prepare(store, batch, REACH_USER, NULL, &preparation, error);
    if (status == STELE_OK)
        status = push(store, batch, &preparation, done, context, error);
    stele__arena_fini(&preparation.arena);
    return status;
}

stele_status stele_flush(stele_store *store, stele_error **error)
{
    stele_status status = stele__store_check(store, error);

    return status == STELE_OK ? stele__queue_flush(&store->queue, error) : status;
}
