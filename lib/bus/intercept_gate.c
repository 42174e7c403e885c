/*
 * Gates: stock interceptors that look at one call and keep nothing: validation,
 * deadline, authorisation, skip by flag, fallback value.
 *
 * What can fail: settings, when they are made; memory for a fallback's message
 * and for a payload that is looked at, which are ERRORs.
 */
#include <stele/intercept.h>

#include "base/arena.h"
#include "base/error.h"
#include "base/text.h"
#include "bus/core.h"
#include "bus/stock.h"

/* --- Validation ------------------------------------------------------------------------- */

static stele_status read_and_check(const struct stele_type *type, const stele_message *message, stele_error **error)
{
    struct stele_arena arena;
    void *value;
    stele_status status;

    stele__arena_init(&arena);
    value = stele_arena_alloc(&arena, type->size);
    status = value ? stele_message_read(message, type, &arena, value, error) : stele__fail_memory(error);
    if (status == STELE_OK)
        status = stele_value_check(type, value, error);
    stele__arena_fini(&arena);
    return status;
}

static struct stele_answer ask_validation(void *state, enum stele_point point, stele_call *call)
{
    const stele_message *message = stele_call_message(call);
    const struct stele_type *type = stele__bus_type(stele_call_bus(call), stele_message_type(message));
    struct stele_answer answer = stele_proceed();
    stele_error *error = NULL;
    stele_status status;

    (void)state;
    (void)point;
    if (!type)
        return answer;
    status = read_and_check(type, message, &error);
    if (status == STELE_NO_MEMORY)
        answer = stele_call_error(call, status, "%s", stele_error_message(error));
    else if (status != STELE_OK)
        answer = stele_call_fail(call, STELE_INVALID, "%s: %s", type->name, stele_error_message(error));
    stele_error_free(error);
    return answer;
}

const struct stele_interceptor_kind stele_validation_kind = {
    .name = "validation", .points = STELE_AT_PUBLISH, .priority = 10, .ask = ask_validation};

/* --- Deadline ------------------------------------------------------------------------------ */

static stele_status make_deadline(const void *untyped, stele_bus *bus, void **state, stele_error **error)
{
    const struct stele_deadline *settings = untyped;

    (void)bus;
    (void)state;
    if (!settings || settings->timeout_ms == 0)
        return stele__fail_argument(error, "timeout_ms", "must be at least 1");
    return STELE_OK;
}

static struct stele_answer ask_deadline(void *state, enum stele_point point, stele_call *call)
{
    const struct stele_deadline *settings = stele__call_settings(call);
    const int64_t now = stele_call_time(call);

    (void)state;
    (void)point;
    if (stele_call_deadline(call) <= now)
        return stele_call_fail(call, STELE_TIMEOUT, "the time was up before the handler was called");
    stele_call_set_deadline(call, now + settings->timeout_ms * STELE__NANOS_PER_MS);
    return stele_proceed();
}

const struct stele_interceptor_kind stele_deadline_kind = {
    .name = "deadline", .points = STELE_AT_HANDLE, .priority = 20, .ask = ask_deadline, .make = make_deadline};

/* --- Authorisation --------------------------------------------------------------------------- */

static stele_status make_authorisation(const void *untyped, stele_bus *bus, void **state, stele_error **error)
{
    const struct stele_authorisation *settings = untyped;

    (void)bus;
    (void)state;
    if (!settings || !settings->allows)
        return stele__fail_argument(error, "allows", "is NULL");
    return STELE_OK;
}

/* Who published the message, NUL-terminated in `text`; NULL if it does not say. */
static const char *find_user(const stele_message *message, char text[STELE_EXTENSION_VALUE_MAX + 1])
{
    struct stele_extension extension;

    for (size_t i = 0; stele_message_extension(message, i, &extension); i++) {
        if (strcmp(extension.name, "user") != 0 || extension.kind != STELE_EXTENSION_TEXT)
            continue;
        memcpy(text, extension.text.data, extension.text.size);
        text[extension.text.size] = '\0';
        return text;
    }
    return NULL;
}

/* True if the one being asked is among its route's own. */
static bool is_of_route(const stele_call *call)
{
    const struct stele_interceptor *const *own = call->route ? call->route->interceptors : NULL;

    while (own && *own && *own != call->asked->interceptor)
        own++;
    return own && *own;
}

static struct stele_answer ask_authorisation(void *state, enum stele_point point, stele_call *call)
{
    const struct stele_authorisation *settings = stele__call_settings(call);
    const stele_message *message = stele_call_message(call);
    char text[STELE_EXTENSION_VALUE_MAX + 1];
    const char *user;

    (void)state;
    if (point == STELE_AT_HANDLE && !is_of_route(call))
        return stele_proceed();
    user = find_user(message, text);
    if (settings->allows(user, message))
        return stele_proceed();
    return stele_call_fail(call, STELE_DENIED, "%s%s may not send %.*s", user ? "user " : "whoever is not a user",
                           user ? user : "", STELE_SLICE(stele_message_type(message)));
}

const struct stele_interceptor_kind stele_authorisation_kind = {.name = "authorisation",
                                                                .points = STELE_AT_PUBLISH | STELE_AT_HANDLE,
                                                                .priority = 5,
                                                                .ask = ask_authorisation,
                                                                .make = make_authorisation};

/* --- Skip by flag ------------------------------------------------------------------------------ */

static stele_status make_skip(const void *untyped, stele_bus *bus, void **state, stele_error **error)
{
    const struct stele_skip_flag *settings = untyped;

    (void)bus;
    (void)state;
    if (!settings || !settings->flag)
        return stele__fail_argument(error, "flag", "is NULL");
    return STELE_OK;
}

static struct stele_answer ask_skip(void *state, enum stele_point point, stele_call *call)
{
    const struct stele_skip_flag *settings = stele__call_settings(call);

    (void)state;
    (void)point;
    return settings->flag() != settings->when_unset ? stele_skip() : stele_proceed();
}

const struct stele_interceptor_kind stele_skip_kind = {
    .name = "skip", .points = STELE_AT_HANDLE, .priority = 40, .ask = ask_skip, .make = make_skip};

/* --- Fallback value ------------------------------------------------------------------------------ */

static stele_status make_fallback(const void *untyped, stele_bus *bus, void **state, stele_error **error)
{
    const struct stele_fallback_value *settings = untyped;
    stele_status status;

    (void)bus;
    (void)state;
    if (!settings || !settings->type)
        return stele__fail_argument(error, "type", "is NULL");
    if (!settings->payload)
        return stele__fail_argument(error, "payload", "is NULL");
    status = stele_type_check(settings->type, error);
    if (status == STELE_OK)
        status = stele_value_check(settings->type, settings->payload, error);
    if (status != STELE_OK)
        stele__error_prefix(error, "payload");
    return status;
}

static stele_status give_fallback(const struct stele_fallback_value *settings, stele_call *call, stele_error **error)
{
    stele_message *message = NULL;
    stele_status status = stele__bus_message(stele_call_bus(call), settings->type, settings->payload, NULL,
                                             stele_call_message(call), &message, error);

    if (status == STELE_OK)
        status = stele_call_give(call, message);
    stele_message_unref(message);
    return status;
}

static struct stele_answer ask_fallback(void *state, enum stele_point point, stele_call *call)
{
    const struct stele_fallback_value *settings = stele__call_settings(call);
    struct stele_answer answer = stele_fallback();
    stele_error *error = NULL;
    stele_status status;

    (void)state;
    (void)point;
    if (settings->wants && !settings->wants(stele_call_status(call)))
        return stele_proceed();
    status = give_fallback(settings, call, &error);
    if (status != STELE_OK)
        answer = stele_call_error(call, status, "%s", error ? stele_error_message(error) : stele_status_text(status));
    stele_error_free(error);
    return answer;
}

const struct stele_interceptor_kind stele_fallback_kind = {
    .name = "fallback", .points = STELE_AT_FAILED, .priority = 90, .ask = ask_fallback, .make = make_fallback};
