/*
 * Fuzzing the reading of CloudEvents JSON: any bytes are read as an event, as a
 * batch and as lines. What is accepted must come back byte for byte once it
 * was written.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <stele/cloudevents.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void require(bool fact)
{
    if (!fact)
        abort();
}

static struct stele_slice write_event(const stele_message *message, stele_arena *arena)
{
    struct stele_slice json = {NULL, 0};

    require(stele_cloudevent_encode(message, NULL, arena, &json, NULL) == STELE_OK);
    return json;
}

static void check_event(const stele_message *message, stele_arena *arena)
{
    const struct stele_slice first = write_event(message, arena);
    struct stele_slice second;
    stele_message *again = NULL;

    require(stele_cloudevent_decode(first, STELE_PAYLOAD_MAX, &again, NULL) == STELE_OK);
    second = write_event(again, arena);
    require(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    stele_message_unref(again);
}

static void check_line(struct stele_slice line, stele_arena *arena)
{
    stele_message *message = NULL;
    stele_error *error = NULL;
    const stele_status status = stele_cloudevent_decode(line, 0, &message, &error);

    require((status == STELE_OK) == (message != NULL) && (status == STELE_OK) == (error == NULL));
    if (message)
        check_event(message, arena);
    stele_message_unref(message);
    stele_error_free(error);
}

static void check_batch(struct stele_slice json, stele_arena *arena)
{
    stele_message **messages = NULL;
    size_t count = 0;

    if (stele_cloudevents_decode(json, 0, arena, &messages, &count, NULL) != STELE_OK)
        return;
    for (size_t i = 0; i < count; i++) {
        check_event(messages[i], arena);
        stele_message_unref(messages[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    const struct stele_slice json = {(const char *)bytes, size};
    struct stele_slice rest = json;
    struct stele_slice line;
    uint64_t number = 0;
    stele_arena *arena = NULL;

    if (stele_arena_new(&arena, NULL) != STELE_OK)
        return 0;
    check_line(json, arena);
    check_batch(json, arena);
    while (stele_ndjson_next(&rest, &line, &number))
        check_line(line, arena);
    stele_arena_free(arena);
    return 0;
}
