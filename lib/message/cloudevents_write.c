/*
 * Messages to CloudEvents JSON.
 *
 *     message --members in fixed order--> buffer --copy, NUL--> the caller's arena
 *
 * The payload is written as JSON on trial. If it holds what JSON has no word
 * for, the event is taken back and written again with `data_base64`, because
 * `datacontenttype`, which then says so, stands in front. What can fail:
 * memory, and a payload that is no MessagePack (a damaged store row).
 */
#include <stele/cloudevents.h>

#include <stele/clock.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/text.h"
#include "message/cloudevents.h"
#include "message/json.h"
#include "message/message.h"

/* An event under way. */
struct writing {
    const stele_message *message;
    struct stele__meta meta;
    struct stele__buffer *out;
    bool packed; /* a MessagePack payload goes into data_base64 */
};

/* `,"name":`, as every member but the first begins. */
static void write_name(struct stele__buffer *out, struct stele_slice name)
{
    char *place = stele__buffer_extend(out, name.size + 4);

    if (!place)
        return;
    place[0] = ',';
    place[1] = '"';
    memcpy(place + 2, name.data, name.size);
    place[name.size + 2] = '"';
    place[name.size + 3] = ':';
}

static void write_text(struct stele__buffer *out, struct stele_slice name, struct stele_slice text)
{
    if (!text.data)
        return;
    write_name(out, name);
    stele__json_write_text(out, text);
}

static void write_attribute(struct stele__buffer *out, enum stele__attribute attribute, struct stele_slice text)
{
    write_text(out, stele__attribute_name(attribute), text);
}

/* CloudEvents integers have 32 bits; what is beyond becomes text. */
static void write_number(struct stele__buffer *out, enum stele__attribute attribute, uint64_t value)
{
    write_name(out, stele__attribute_name(attribute));
    if (value > INT32_MAX)
        stele__buffer_add_byte(out, '"');
    stele__json_write_uint(out, value);
    if (value > INT32_MAX)
        stele__buffer_add_byte(out, '"');
}

static void write_time(struct stele__buffer *out, int64_t time)
{
    char text[STELE_TIME_TEXT_SIZE];

    stele_time_print(time, text);
    write_attribute(out, STELE__TIME, stele__slice(text));
}

static void write_extension(struct stele__buffer *out, const struct stele_extension *extension)
{
    const struct stele_slice name = stele__slice(extension->name);

    switch (extension->kind) {
    case STELE_EXTENSION_TEXT: write_text(out, name, extension->text); break;
    case STELE_EXTENSION_INTEGER:
        write_name(out, name);
        stele__json_write_int(out, extension->integer);
        break;
    case STELE_EXTENSION_BOOLEAN:
        write_name(out, name);
        stele__buffer_add_text(out, extension->boolean ? "true" : "false");
        break;
    }
}

static void write_place(const struct writing *writing)
{
    const stele_message *message = writing->message;

    write_attribute(writing->out, STELE__STREAM, message->stream);
    if (message->version)
        write_number(writing->out, STELE__STREAMVERSION, message->version);
    if (message->position)
        write_number(writing->out, STELE__POSITION, message->position);
    if (message->type_version != 1)
        write_number(writing->out, STELE__TYPEVERSION, message->type_version);
    if (message->kind != STELE_EVENT)
        write_attribute(writing->out, STELE__MESSAGEKIND, stele__kind_name(message->kind));
}

static struct stele_slice subject_of(const struct writing *writing, const struct stele_cloudevent_options *options)
{
    const struct stele_slice subject = writing->meta.text[STELE__SUBJECT];

    return !subject.data && options && options->subject_from_stream ? writing->message->stream : subject;
}

static void write_attributes(const struct writing *writing, const struct stele_cloudevent_options *options)
{
    struct stele__buffer *out = writing->out;
    const struct stele_slice *text = writing->meta.text;
    struct stele__extension_walk extensions = writing->meta.extensions;
    struct stele_extension extension;

    stele__buffer_add_text(out, "{\"specversion\":\"1.0\"");
    write_attribute(out, STELE__ID, stele_message_id(writing->message));
    write_attribute(out, STELE__SOURCE,
                    text[STELE__SOURCE].data ? text[STELE__SOURCE] : stele__slice(STELE__SOURCE_DEFAULT));
    write_attribute(out, STELE__TYPE, writing->message->type);
    write_attribute(out, STELE__SUBJECT, subject_of(writing, options));
    write_time(out, writing->message->time);
    write_attribute(out, STELE__DATACONTENTTYPE,
                    writing->packed ? stele__slice(STELE__MSGPACK_MEDIA_TYPE) : text[STELE__DATACONTENTTYPE]);
    write_attribute(out, STELE__DATASCHEMA, text[STELE__DATASCHEMA]);
    write_place(writing);
    write_attribute(out, STELE__CORRELATIONID, text[STELE__CORRELATIONID]);
    write_attribute(out, STELE__CAUSATIONID, text[STELE__CAUSATIONID]);
    write_attribute(out, STELE__TRACEPARENT, text[STELE__TRACEPARENT]);
    while (stele__extension_next(&extensions, &extension))
        write_extension(out, &extension);
}

static void write_base64(const struct writing *writing)
{
    write_name(writing->out, stele__attribute_name(STELE__DATA_BASE64));
    stele__json_write_base64(writing->out, stele_message_payload(writing->message));
}

static stele_status fail_damaged(const struct writing *writing, stele_error *cause, stele_error **error)
{
    const struct stele_slice id = stele_message_id(writing->message);

    stele__fail(error, STELE_CORRUPT, "the payload of event %.*s is damaged: %s", STELE_SLICE(id),
                stele_error_message(cause));
    stele__error_add(error, "id", "%.*s", STELE_SLICE(id));
    stele_error_free(cause);
    return STELE_CORRUPT;
}

/* *retry says that only data_base64 can hold the payload. */
static stele_status write_data(const struct writing *writing, bool *retry, stele_error **error)
{
    const struct stele_slice payload = stele_message_payload(writing->message);
    stele_error *cause = NULL;
    stele_status status = STELE_OK;

    switch (writing->message->format) {
    case STELE_PAYLOAD_NONE: break;
    case STELE_PAYLOAD_BYTES: write_base64(writing); break;
    case STELE_PAYLOAD_MSGPACK:
        if (writing->packed) {
            write_base64(writing);
            status = stele_msgpack_check(payload, &cause);
        } else {
            write_name(writing->out, stele__attribute_name(STELE__DATA));
            status = stele__json_write_msgpack(writing->out, payload, &cause);
        }
    }
    *retry = status == STELE_INVALID && !writing->packed;
    if (!status || *retry) {
        stele_error_free(cause);
        return STELE_OK;
    }
    if (status != STELE_NO_MEMORY)
        return fail_damaged(writing, cause, error);
    stele_error_free(cause);
    return stele__fail_memory(error);
}

static stele_status write_event(struct stele__buffer *out, const stele_message *message,
                                const struct stele_cloudevent_options *options, stele_error **error)
{
    const size_t start = out->size;
    struct writing writing = {.message = message, .out = out};
    bool retry = false;
    stele_status status;

    stele__meta_read(message->meta, &writing.meta);
    writing.packed =
        message->format == STELE_PAYLOAD_MSGPACK &&
        stele__slice_equal(writing.meta.text[STELE__DATACONTENTTYPE], stele__slice(STELE__MSGPACK_MEDIA_TYPE));
    write_attributes(&writing, options);
    status = write_data(&writing, &retry, error);
    if (!status && retry) {
        out->size = start;
        writing.packed = true;
        write_attributes(&writing, options);
        status = write_data(&writing, &retry, error);
    }
    stele__buffer_add_byte(out, '}');
    return status;
}

/* Move what was written into the arena. */
static stele_status deliver(const struct stele__buffer *buffer, stele_arena *arena, struct stele_slice *out,
                            stele_error **error)
{
    const stele_status status = stele__buffer_finish(buffer, "the CloudEvents JSON", error);
    const struct stele_slice written = stele__buffer_slice(buffer);
    const char *text;

    if (status)
        return status;
    text = stele_arena_text(arena, written.data, written.size);
    if (!text)
        return stele__fail_memory(error);
    out->data = text;
    out->size = written.size;
    return STELE_OK;
}

static stele_status check_arguments(const struct stele_cloudevent_options *options, const stele_arena *arena,
                                    const struct stele_slice *out, stele_error **error)
{
    if (!arena)
        return stele__fail_argument(error, "arena", "is NULL");
    if (!out)
        return stele__fail_argument(error, "out", "is NULL");
    return stele__options_check(options, sizeof(*options), sizeof(*options), "options", error);
}

stele_status stele_cloudevent_encode(const stele_message *message, const struct stele_cloudevent_options *options,
                                     stele_arena *arena, struct stele_slice *out, stele_error **error)
{
    struct stele__buffer buffer;
    stele_status status;

    if (!message)
        return stele__fail_argument(error, "message", "is NULL");
    status = check_arguments(options, arena, out, error);
    if (status)
        return status;
    stele__buffer_init(&buffer);
    status = write_event(&buffer, message, options, error);
    if (!status)
        status = deliver(&buffer, arena, out, error);
    stele__buffer_fini(&buffer);
    return status;
}

stele_status stele_cloudevents_encode(const stele_message *const *messages, size_t count,
                                      const struct stele_cloudevent_options *options, stele_arena *arena,
                                      struct stele_slice *out, stele_error **error)
{
    struct stele__buffer buffer;
    stele_status status;

    if (count && !messages)
        return stele__fail_argument(error, "messages", "is NULL");
    status = check_arguments(options, arena, out, error);
    if (status)
        return status;
    stele__buffer_init(&buffer);
    stele__buffer_add_byte(&buffer, '[');
    for (size_t i = 0; i < count && !status; i++) {
        if (i > 0)
            stele__buffer_add_byte(&buffer, ',');
        status = write_event(&buffer, messages[i], options, error);
        if (status)
            stele__error_add(error, "index", "%zu", i);
    }
    stele__buffer_add_byte(&buffer, ']');
    if (!status)
        status = deliver(&buffer, arena, out, error);
    stele__buffer_fini(&buffer);
    return status;
}
