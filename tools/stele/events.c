/*
 * Showing events. Each is encoded into an arena that is reset for the next, so
 * that a log of any length is shown in little memory. Fails when a stored
 * payload does not decode.
 */
#include "events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "safe.h"
#include "table.h"
#include "tool.h"

struct events {
    struct table *table; /* NULL for JSON */
    stele_arena *arena;  /* of the event being shown */
};

static const struct table_column event_columns[] = {
    {"POSITION", true, "2"}, {"STREAM", false, "36"}, {"VERSION", true, NULL}, {"TYPE", false, "33"},
    {"TIME", false, "2"},    {"DATA", false, NULL},   {NULL, false, NULL},
};

struct events *events_new(bool json)
{
    struct events *events = tool_have(calloc(1, sizeof(*events)));
    events->arena = tool_arena();
    if (!json)
        events->table = table_new(event_columns);
    return events;
}

void events_free(struct events *events)
{
    if (events == NULL)
        return;
    table_free(events->table);
    stele_arena_free(events->arena);
    free(events);
}

static struct stele_slice note(const stele_message *event, stele_arena *arena)
{
    const struct stele_slice payload = stele_message_payload(event);
    struct stele_slice media = stele_message_datacontenttype(event);
    if (media.data == NULL && stele_message_format(event) == STELE_PAYLOAD_MSGPACK)
        media = (struct stele_slice){"application/msgpack", strlen("application/msgpack")};
    char *text = NULL;
    const int length = media.data == NULL ? asprintf(&text, "<%zu bytes>", payload.size)
                                          : asprintf(&text, "<%zu bytes of %.*s>", payload.size, STELE_SLICE(media));
    if (length < 0)
        tool_have(NULL);
    const char *copy = tool_have(stele_arena_text(arena, text, (size_t)length));
    free(text);
    return (struct stele_slice){copy, (size_t)length};
}

stele_status events_payload(const stele_message *event, stele_arena *arena, struct stele_slice *out,
                            stele_error **error)
{
    const struct stele_slice payload = stele_message_payload(event);
    switch (stele_message_format(event)) {
    case STELE_PAYLOAD_NONE: *out = (struct stele_slice){"", 0}; return STELE_OK;
    case STELE_PAYLOAD_MSGPACK:
        if (stele_msgpack_is_json(payload))
            return stele_json_from_msgpack(payload, arena, out, error);
        break;
    case STELE_PAYLOAD_BYTES: break;
    }
    *out = note(event, arena);
    return STELE_OK;
}

stele_status events_json(const stele_message *event, stele_arena *arena, const char *end, stele_error **error)
{
    struct stele_cloudevent_options options = STELE_OPTIONS_INIT(struct stele_cloudevent_options);
    options.subject_from_stream = true;
    struct stele_slice line;
    const stele_status status = stele_cloudevent_encode(event, &options, arena, &line, error);
    if (status != STELE_OK)
        return status;
    if (output_is_terminal()) {
        const struct safe_extent extent = safe_measure(line, SAFE_UNLIMITED);
        char *harmless = tool_have(stele_arena_alloc(arena, extent.size));
        safe_write(line, &extent, harmless);
        line = (struct stele_slice){harmless, extent.size};
    }
    output_bytes(line.data, line.size);
    output_text(end);
    return STELE_OK;
}

stele_status events_json_line(const stele_message *event, stele_arena *arena, stele_error **error)
{
    return events_json(event, arena, "\n", error);
}

static stele_status add_row(struct events *events, const stele_message *event, stele_error **error)
{
    struct stele_slice payload;
    const stele_status status = events_payload(event, events->arena, &payload, error);
    if (status != STELE_OK)
        return status;
    char time[STELE_TIME_TEXT_SIZE];
    stele_time_print(stele_message_time(event), time);
    table_number(events->table, stele_message_position(event));
    table_cell(events->table, stele_message_stream(event));
    table_number(events->table, stele_message_version(event));
    table_cell(events->table, stele_message_type(event));
    table_text(events->table, time);
    table_cell(events->table, payload);
    return STELE_OK;
}

stele_status events_show(struct events *events, const stele_message *event, stele_error **error)
{
    stele_arena_reset(events->arena);
    return events->table != NULL ? add_row(events, event, error) : events_json_line(event, events->arena, error);
}

bool events_flush(struct events *events)
{
    return events->table != NULL ? table_flush(events->table) : output_flush();
}
