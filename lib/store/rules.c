/*
 * What an append must satisfy, for every backend alike (contracts A1, A4-A6, B7).
 *
 *     the command is remembered, the same one      -> its first outcome
 *     the command is remembered, another one       -> STELE_ID_REUSE
 *     all ids stored, same order, streams, types, payloads  -> repeated, OK
 *     some ids stored, or something differs                 -> STELE_ID_REUSE
 *     no id stored, an expectation does not hold            -> STELE_CONFLICT
 *     no id stored, all expectations hold                   -> to be written
 *
 * The backend shows its state through a view, inside its own transaction. What
 * can fail besides: the view, with the backend's errors.
 */
#include <stele/spi/store.h>

#include "base/error.h"
#include "base/text.h"
#include "store/ledger.h"
#include "store/record.h"

/* --- Expectations ------------------------------------------------------------------ */

static bool holds(const struct stele_expected *expected, uint64_t version)
{
    switch (expected->expect) {
    case STELE_EXPECT_ANY: return true;
    case STELE_EXPECT_NO_STREAM: return version == 0;
    case STELE_EXPECT_EXISTS: return version != 0;
    case STELE_EXPECT_VERSION: return version == expected->version;
    }
    return false;
}

static stele_status conflict(const struct stele_append_view *view, const struct stele_stream_expectation *expectation,
                             uint64_t actual, stele_error **error)
{
    const bool exact = expectation->expected.expect == STELE_EXPECT_VERSION;
    struct stele_conflict facts = {
        .stream = expectation->stream.data,
        .expect = expectation->expected.expect,
        .expected = exact ? expectation->expected.version : 0,
        .actual = actual,
    };
    stele_status status = STELE_OK;

    if (actual > facts.expected)
        status = view->behind(view->context, expectation->stream, facts.expected, &facts, error);
    return status == STELE_OK ? stele__fail_conflict(error, &facts) : status;
}

stele_status stele_append_rules_expect(const struct stele_append_view *view, struct stele_append_member *member)
{
    for (size_t i = 0; i < member->expectation_count; i++) {
        const struct stele_stream_expectation *expectation = &member->expectations[i];
        const bool reported = i == 0 && member->record_count == 0;
        uint64_t version = 0;
        stele_status status;

        if (expectation->expected.expect == STELE_EXPECT_ANY && !reported)
            continue;
        status = view->version(view->context, expectation->stream, &version, &member->error);
        if (status != STELE_OK)
            return status;
        if (!holds(&expectation->expected, version))
            return conflict(view, expectation, version, &member->error);
        if (reported)
            member->result.version = version;
    }
    return STELE_OK;
}

/* --- Repetitions --------------------------------------------------------------------- */

static stele_status fail_reuse(const struct stele_record *record, const char *why, stele_error **error)
{
    char text[STELE_UUID_TEXT_SIZE];
    const struct stele_slice id = stele__record_id(record, text);

    stele__fail(error, STELE_ID_REUSE, "event id %.*s in stream \"%s\": %s", STELE_SLICE(id), record->stream.data, why);
    stele__error_add(error, "stream", "%s", record->stream.data);
    stele__error_add(error, "id", "%.*s", STELE_SLICE(id));
    return STELE_ID_REUSE;
}

/* Why a stored event is not the given one again; NULL if it is. */
static const char *difference(const struct stele_record *given, const struct stele_record *stored,
                              uint64_t position_before)
{
    if (!stele__slice_equal(given->stream, stored->stream))
        return "is stored already, in another stream";
    if (!stele__slice_equal(given->type, stored->type) || given->type_version != stored->type_version)
        return "is stored already, with another type";
    if ((given->payload.data == NULL) != (stored->payload.data == NULL) ||
        !stele__slice_equal(given->payload, stored->payload))
        return "is stored already, with another payload";
    if (stored->position <= position_before)
        return "is stored already, in another order";
    return NULL;
}

/* Compare one record; `*found` says whether its id is stored at all. Fills the result as a write of it would have. */
static stele_status compare(const struct stele_append_view *view, const struct stele_record *given,
                            struct stele_append_member *member, bool *found)
{
    struct stele_appended *result = &member->result;
    struct stele_record stored;
    stele_status status = view->find(view->context, given, &stored, found, &member->error);
    const char *why;

    if (status != STELE_OK || !*found)
        return status;
    why = difference(given, &stored, result->last_position);
    if (why)
        return fail_reuse(given, why, &member->error);
    if (!result->first_position)
        result->first_position = stored.position;
    result->last_position = stored.position;
    result->version = stored.version;
    return STELE_OK;
}

bool stele_append_rules_created(const struct stele_append_member *member)
{
    const struct stele_record *last = &member->records[member->record_count - 1];
    uint64_t in_stream = 0;

    if (member->result.version > member->record_count)
        return false;
    for (size_t i = 0; i < member->record_count; i++)
        in_stream += stele__slice_equal(member->records[i].stream, last->stream);
    return member->result.version <= in_stream;
}

stele_status stele_append_rules_repeat(const struct stele_append_view *view, struct stele_append_member *member,
                                       bool *repeated)
{
    const struct stele_record *missing = NULL;
    const struct stele_record *stored = NULL;

    *repeated = false;
    for (size_t i = 0; i < member->record_count; i++) {
        bool found = false;
        stele_status status = compare(view, &member->records[i], member, &found);

        if (status != STELE_OK)
            return status;
        if (found)
            stored = &member->records[i];
        else
            missing = &member->records[i];
        if (stored && missing)
            return fail_reuse(stored, "is stored already, but the batch holds events that are not", &member->error);
    }
    if (!stored)
        return STELE_OK;
    *repeated = true;
    member->result.created = stele_append_rules_created(member);
    member->result.repeated = true;
    return STELE_OK;
}

/* --- Commands ------------------------------------------------------------------------ */

stele_status stele_append_rules_command(const struct stele_append_view *view, struct stele_append_member *member,
                                        bool *replayed)
{
    struct stele_command_record stored;
    stele_status status;

    *replayed = false;
    if (!member->command)
        return STELE_OK;
    status = view->command(view->context, member->command, &stored, replayed, &member->error);
    if (status == STELE_OK && *replayed)
        status = stele__command_answer(member->command, &stored, &member->result, &member->error);
    return status;
}

stele_status stele_append_rules(const struct stele_append_view *view, struct stele_append_member *member,
                                bool *repeated)
{
    stele_status status = stele_append_rules_command(view, member, repeated);

    if (status == STELE_OK && !*repeated)
        status = stele_append_rules_repeat(view, member, repeated);
    if (status != STELE_OK || *repeated)
        return status;
    return stele_append_rules_expect(view, member);
}
