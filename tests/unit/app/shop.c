#include "tests/unit/app/shop.h"

#include <stdio.h>
#include <string.h>

STELE_DEFINE_COMMAND(place, "order.place", 1, SHOP_TEXT);
STELE_DEFINE_QUERY(price, "order.price", 1, SHOP_TEXT);
STELE_DEFINE_EVENT(placed, "order.placed", 1, SHOP_TEXT);
STELE_DEFINE_EVENT(shipped, "order.shipped", 1, SHOP_TEXT);
STELE_DEFINE_EVENT(paid, "payment.paid", 1, SHOP_TEXT);
STELE_DEFINE_REPLY(receipt, "order.receipt", 1, SHOP_TEXT);
STELE_DEFINE_REPLY(quote, "order.quote", 1, SHOP_TEXT);
STELE_DEFINE_STATE(book, "order.book", 1, SHOP_BOOK);
STELE_DEFINE_COMMAND(open_order, "order.open", 1, SHOP_TEXT);
STELE_DEFINE_EVENT(opened, "order.opened", 1, SHOP_TEXT);

const struct stele_type other_placed_type = {.name = "order.placed",
                                             .version = 1,
                                             .kind = STELE_EVENT,
                                             .size = sizeof(struct placed),
                                             .fields = placed_fields,
                                             .field_count = 1};

static void on_opened(struct book *book, const struct opened *event)
{
    (void)event;
    book->count++;
}

static stele_status decide_open(const struct book *book, const struct open_order *command, stele_decision *decision)
{
    (void)book;
    return STELE_EMIT(decision, opened, .order = command->order);
}

#define BOOK_EVENTS(EVOLVE, A) EVOLVE(A, opened, on_opened)
#define BOOK_COMMANDS(DECIDE, A) DECIDE(A, open_order, decide_open)
STELE_DEFINE_AGGREGATE(book, BOOK_EVENTS, BOOK_COMMANDS);

const struct stele_type *const only_place[] = {&place_type, NULL};
const struct stele_type *const only_price[] = {&price_type, NULL};
const struct stele_type *const only_placed[] = {&placed_type, NULL};
const struct stele_type *const only_shipped[] = {&shipped_type, NULL};
const struct stele_type *const only_paid[] = {&paid_type, NULL};
const struct stele_type *const only_open[] = {&open_order_type, NULL};

char shop_notes[1024];

void shop_add_note(const char *word)
{
    const size_t size = strlen(shop_notes);
    snprintf(shop_notes + size, sizeof(shop_notes) - size, "%s ", word);
}

void shop_clear(void)
{
    shop_notes[0] = '\0';
}

stele_status shop_ignore(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    (void)context;
    return STELE_OK;
}

stele_status shop_note(void *resource, const stele_message *message, stele_context *context)
{
    (void)resource;
    (void)message;
    shop_add_note(stele_context_route(context));
    return STELE_OK;
}

stele_runtime *shop_simulation(void)
{
    stele_runtime *runtime = NULL;
    stele_error *error = NULL;
    shop_clear();
    assert_ok(stele_runtime_simulated(7, &runtime, &error), error);
    return runtime;
}

stele_app *shop_app(stele_runtime *runtime, const struct stele_app_options *options)
{
    stele_app *app = NULL;
    stele_error *error = NULL;
    assert_ok(stele_app_new(runtime, options, &app, &error), error);
    return app;
}

stele_store *shop_store(void)
{
    stele_store *store = NULL;
    stele_error *error = NULL;
    assert_ok(stele_store_open("memory:", NULL, &store, &error), error);
    return store;
}

stele_message *shop_message(const struct stele_type *type, const char *order)
{
    const struct place payload = {.order = order};
    stele_message *message = NULL;
    stele_error *error = NULL;
    assert_ok(stele_message_new(type, &payload, NULL, &message, &error), error);
    return message;
}

size_t shop_publish(const stele_app *app, const struct stele_type *type, const char *order)
{
    stele_message *message = shop_message(type, order);
    size_t reached = 0;
    stele_error *error = NULL;
    assert_ok(stele_publish(stele_app_bus(app), message, &reached, &error), error);
    stele_message_unref(message);
    return reached;
}

stele_status shop_mount(stele_app *app, const struct stele_module *module, stele_error **error)
{
    const struct stele_module *const modules[] = {module, NULL};
    return stele_app_mount(app, modules, error);
}

void shop_assert_refused(stele_app *app, const struct stele_module *module, const char *problems)
{
    stele_error *error = NULL;
    char message[4096] = "";
    size_t size = 0;
    assert_failure(STELE_INVALID, shop_mount(app, module, &error), error);
    assert_string_equal(strchr(problems, '\n') + 1, stele_error_get(error, "problems"));
    /* The message is the same in one line: "2 problems: FIRST; SECOND". */
    for (const char *place = problems; *place; place++) {
        if (*place == '\n' && message[size - 1] != ':')
            message[size++] = ';';
        message[size++] = *place == '\n' ? ' ' : *place;
    }
    assert_string_equal(message, stele_error_message(error));
    stele_error_free(error);
}
