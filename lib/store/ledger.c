/*
 * The command ledger: each command's id with what the command said, in a
 * digest, and how it ended.
 *
 *     append:  batch.command -> record -> the backend's transaction, with the events
 *     again:   id -> record stored -> the same digest? -> first outcome
 *     forget:  a mark in the ledger's order -> steps of the backend, other writers between them
 *
 * What can fail: the id or the retention is malformed; what the backend says.
 */
#define XXH_STATIC_LINKING_ONLY /* the state's size, to have it on the stack */
#include "store/ledger.h"

#include "base/error.h"
#include "base/text.h"
#include "message/message.h"

#include <string.h>
#include <xxhash.h>

enum { STEP = 500 }; /* most entries forgotten in one transaction */

#define PAUSE INT64_C(1000000) /* nanoseconds between two of them: somebody else's turn */

/* --- Digests ------------------------------------------------------------------------- */

static void update_number(XXH3_state_t *state, uint64_t number)
{
    unsigned char bytes[8];

    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(number >> (8 * i));
    XXH3_128bits_update(state, bytes, sizeof(bytes));
}

/* With its size, so that bytes cannot move from one text to the next unseen. */
static void update(XXH3_state_t *state, struct stele_slice bytes)
{
    update_number(state, bytes.size);
    if (bytes.size)
        XXH3_128bits_update(state, bytes.data, bytes.size);
}

static void update_command(XXH3_state_t *state, const stele_message *command)
{
    update(state, command->type);
    update_number(state, command->type_version);
    update_number(state, command->format);
    update(state, command->payload);
}

static void finish(XXH3_state_t *state, uint8_t out[STELE__DIGEST_SIZE])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    memcpy(out, canonical.digest, STELE__DIGEST_SIZE);
}

void stele__command_digest(const stele_message *command, uint8_t out[STELE__DIGEST_SIZE])
{
    XXH3_state_t state;

    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    update_command(&state, command);
    finish(&state, out);
}

void stele__command_digest_add(const char *stream, const stele_message *command, uint8_t digest[STELE__DIGEST_SIZE])
{
    XXH3_state_t state;

    XXH3_INITSTATE(&state);
    XXH3_128bits_reset(&state);
    XXH3_128bits_update(&state, digest, STELE__DIGEST_SIZE);
    update(&state, stele__slice(stream));
    update(&state, stele_message_id(command));
    update_command(&state, command);
    finish(&state, digest);
}

/* --- Records --------------------------------------------------------------------------- */

static void set_id(const stele_message *message, struct stele_command_record *out)
{
    out->id_is_uuid = message->id_is_uuid;
    if (message->id_is_uuid)
        out->uuid = message->uuid;
    else
        out->id = message->id;
}

void stele__command_record(const stele_message *command, const uint8_t *digest, struct stele_command_record *out)
{
    memset(out, 0, sizeof(*out));
    set_id(command, out);
    if (digest)
        memcpy(out->digest, digest, sizeof(out->digest));
    else
        stele__command_digest(command, out->digest);
}

static struct stele_slice id_text(const struct stele_command_record *command, char text[STELE_UUID_TEXT_SIZE])
{
    if (!command->id_is_uuid)
        return command->id;
    stele_uuid_print(&command->uuid, text);
    return (struct stele_slice){text, STELE_UUID_TEXT_SIZE - 1};
}

stele_status stele__command_answer(const struct stele_command_record *given, const struct stele_command_record *stored,
                                   struct stele_appended *result, stele_error **error)
{
    const bool is_another = memcmp(given->digest, stored->digest, sizeof(given->digest)) != 0;
    char text[STELE_UUID_TEXT_SIZE];
    const struct stele_slice id = id_text(given, text);

    if (!is_another && !stored->rejection.data) {
        *result = stored->outcome;
        result->replayed = true;
        return STELE_OK;
    }
    if (is_another)
        stele__fail(error, STELE_ID_REUSE, "command id %.*s: another command with this id was handled already",
                    STELE_SLICE(id));
    else
        stele__fail(error, STELE_REJECTED, "%.*s", STELE_SLICE(stored->rejection));
    stele__error_add(error, "id", "%.*s", STELE_SLICE(id));
    return is_another ? STELE_ID_REUSE : STELE_REJECTED;
}

/* --- Finding ----------------------------------------------------------------------------- */

struct replaying {
    const struct stele_command_record *given;
    struct stele_appended *result;
    bool found;
    stele_status status;
    stele_error **error;
};

static bool answer(void *context, const struct stele_command_record *stored)
{
    struct replaying *replaying = context;

    replaying->found = true;
    replaying->status = stele__command_answer(replaying->given, stored, replaying->result, replaying->error);
    return false;
}

stele_status stele__store_replay(stele_store *store, const struct stele_command_record *given,
                                 struct stele_appended *result, bool *replayed, stele_error **error)
{
    struct replaying replaying = {.given = given, .result = result, .error = error};
    stele_status status = store->ops->find_command(store->backend, given, answer, &replaying, error);

    *replayed = replaying.found;
    return status == STELE_OK ? replaying.status : status;
}

struct finding {
    stele_arena *arena;
    struct stele_outcome out;
    bool found;
    bool no_memory;
};

static bool keep_outcome(void *context, const struct stele_command_record *stored)
{
    struct finding *finding = context;
    struct stele_outcome *out = &finding->out;

    finding->found = true;
    out->rejected = stored->rejection.data != NULL;
    out->version = stored->outcome.version;
    out->first_position = stored->outcome.first_position;
    out->last_position = stored->outcome.last_position;
    out->created = stored->outcome.created;
    out->time = stored->time;
    if (!out->rejected)
        return false;
    out->rejection.size = stored->rejection.size;
    out->rejection.data = stele_arena_text(finding->arena, stored->rejection.data, stored->rejection.size);
    finding->no_memory = out->rejection.data == NULL;
    return false;
}

static stele_status check_finding(const stele_store *store, const char *command_id, const stele_arena *arena,
                                  const struct stele_outcome *out, stele_error **error)
{
    const stele_status status = stele__store_check(store, error);

    if (status != STELE_OK)
        return status;
    if (!command_id)
        return stele__fail_argument(error, "command_id", "is NULL");
    if (!arena || !out)
        return stele__fail_argument(error, arena ? "out" : "arena", "is NULL");
    return stele__name_check(stele__slice(command_id), "command_id", STELE_ID_MAX, error);
}

stele_status stele_find_outcome(stele_store *store, const char *command_id, stele_arena *arena,
                                struct stele_outcome *out, stele_error **error)
{
    struct finding finding = {.arena = arena};
    struct stele_command_record wanted = {.id_is_uuid = false};
    stele_message named;
    stele_status status = check_finding(store, command_id, arena, out, error);

    if (status != STELE_OK)
        return status;
    stele__message_set_id(&named, stele__slice(command_id));
    set_id(&named, &wanted);
    status = store->ops->find_command(store->backend, &wanted, keep_outcome, &finding, error);
    if (status != STELE_OK)
        return status;
    if (finding.no_memory)
        return stele__fail_memory(error);
    if (!finding.found) {
        stele__fail(error, STELE_NOT_FOUND, "no command with the id \"%s\" is remembered", command_id);
        stele__error_add(error, "id", "%s", command_id);
        return STELE_NOT_FOUND;
    }
    *out = finding.out;
    return STELE_OK;
}

/* --- Forgetting ---------------------------------------------------------------------------- */

static stele_status check_retention(const struct stele_retention *retention, stele_error **error)
{
    const stele_status status =
        stele__options_check(retention, sizeof(*retention), sizeof(*retention), "retention", error);

    if (status != STELE_OK)
        return status;
    if (!retention || (!retention->has_before && !retention->has_keep))
        return stele__fail_argument(error, "retention", "says neither before which time nor how many to keep");
    return STELE_OK;
}

static stele_status forget_step(stele_store *store, const struct stele_command_mark *mark, uint64_t *forgotten,
                                stele_error **error)
{
    stele_status status;

    stele__store_enter(store);
    status = store->ops->forget_commands(store->backend, mark, STEP, forgotten, error);
    stele__store_leave(store);
    return status;
}

static stele_status forget(stele_store *store, const struct stele_command_mark *mark, uint64_t *forgotten,
                           stele_error **error)
{
    const struct stele_clock *clock = stele_clock_system();
    uint64_t step = 0;

    for (;;) {
        const stele_status status = forget_step(store, mark, &step, error);

        if (status != STELE_OK)
            return status;
        *forgotten += step;
        if (step < STEP)
            return STELE_OK;
        clock->pause(clock->context, PAUSE);
    }
}

stele_status stele_forget_commands(stele_store *store, const struct stele_retention *retention, uint64_t *forgotten,
                                   stele_error **error)
{
    struct stele_command_mark mark = {.found = false};
    uint64_t count = 0;
    stele_status status = stele__store_check_writable(store, error);

    if (status == STELE_OK)
        status = check_retention(retention, error);
    if (status == STELE_OK)
        status = store->ops->mark_commands(store->backend, retention, &mark, error);
    if (status == STELE_OK && mark.found)
        status = forget(store, &mark, &count, error);
    if (status == STELE_OK && forgotten)
        *forgotten = count;
    return status;
}
