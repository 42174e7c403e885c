/* Failures as messages: "TYPE.error", published when a handler of TYPE has failed for good and a route wants to know. */
#include "bus/core.h"

#include "base/error.h"
#include "base/text.h"
#include "base/log.h"

#include <string.h>

STELE_DEFINE_EVENT(stele_handler_failed, "stele.handler.failed", 1, STELE_HANDLER_FAILED);

#define SUFFIX ".error"

unsigned stele__error_depth(struct stele_slice type)
{
    const size_t size = sizeof(SUFFIX) - 1;
    unsigned depth = 0;

    while (type.size > size && memcmp(type.data + type.size - size, SUFFIX, size) == 0) {
        type.size -= size;
        depth++;
    }
    return depth;
}

static stele_status make_failed(struct stele__context *context, const char *name, stele_status status, const char *text,
                                stele_message **out, stele_error **error)
{
    const stele_message *message = context->message;
    const struct stele_handler_failed payload = {
        .code = stele_status_name(status),
        .text = text,
        .route = context->item->route->table->name,
        .type = stele_message_type(message).data,
        .id = stele_message_id(message).data,
        .attempts = context->attempt,
        .payload = stele_message_format(message) == STELE_PAYLOAD_MSGPACK ? stele_message_payload(message)
                                                                          : stele__slice(NULL),
    };
    struct stele_type type = stele_handler_failed_type;
    const struct stele_message_options options = {.size = sizeof(options), .payload_limit = STELE_PAYLOAD_MAX};

    type.name = name;
    return stele__bus_message(context->bus, &type, &payload, &options, message, out, error);
}

void stele__publish_failed(struct stele__context *context, stele_status status, const char *text)
{
    const struct stele__origin origin = {context->unit, context->hop + 1, context->call};
    const struct stele_slice type = stele_message_type(context->message);
    char name[STELE_TYPE_MAX + sizeof(SUFFIX)];
    const struct stele__entry *entry;
    stele_message *failed = NULL;
    stele_error *error = NULL;

    if (type.size + sizeof(SUFFIX) - 1 > STELE_TYPE_MAX || stele__error_depth(type) >= STELE_ERRORS_MAX)
        return;
    memcpy(name, type.data, type.size);
    memcpy(name + type.size, SUFFIX, sizeof(SUFFIX));
    entry = stele__table_find(context->bus, stele__slice(name));
    if (entry && entry->count == 0)
        return;
    if (!entry || make_failed(context, name, status, text, &failed, &error) != STELE_OK ||
        stele__publish(context->bus, failed, &origin, NULL, &error) != STELE_OK)
        STELE__LOG(STELE_LOG_WARNING, "a failure could not be published", {"type", name},
                   {"text", error ? stele_error_message(error) : "out of memory"});
    stele_error_free(error);
    stele_message_unref(failed);
}

void stele__log_lost(const stele_message *message, stele_status status, const stele_error *error)
{
    STELE__LOG(STELE_LOG_WARNING, "what a handler published was lost", {"type", stele_message_type(message).data},
               {"id", stele_message_id(message).data}, {"status", stele_status_name(status)},
               {"text", stele_error_message(error)});
}
