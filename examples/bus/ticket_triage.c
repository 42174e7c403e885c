/*
 * A support ticket is enriched from hand to hand, and carries the list of who
 * had it: shared state in the message, none in the handlers.
 */
#include "example.h"

#include <stdio.h>
#include <string.h>

enum { STEPS_MAX = 8 };

#define TICKET(FIELD, T) \
    FIELD(T, TEXT, id, STELE_NON_EMPTY) \
    FIELD(T, TEXT, text) \
    FIELD(T, OPTIONAL(TEXT), topic) \
    FIELD(T, INT64, priority) \
    FIELD(T, OPTIONAL(TEXT), team) \
    FIELD(T, LIST(TEXT), steps, STELE_MAX_LENGTH(8))
STELE_DECLARE(ticket_opened, TICKET);
STELE_DECLARE(ticket_classified, TICKET);
STELE_DECLARE(ticket_prioritised, TICKET);
STELE_DECLARE(ticket_assigned, TICKET);
STELE_DEFINE_EVENT(ticket_opened, "ticket.opened", 1, TICKET);
STELE_DEFINE_EVENT(ticket_classified, "ticket.classified", 1, TICKET);
STELE_DEFINE_EVENT(ticket_prioritised, "ticket.prioritised", 1, TICKET);
STELE_DEFINE_EVENT(ticket_assigned, "ticket.assigned", 1, TICKET);

/* The list with one more step at its end, in memory of the caller; of a full list, the list. */
static struct stele_list_text with_step(const struct stele_list_text *steps, const char *step,
                                        const char *memory[STEPS_MAX])
{
    struct stele_list_text longer = {memory, steps->count};

    for (size_t i = 0; i < steps->count; i++)
        memory[i] = steps->items[i];
    if (longer.count < STEPS_MAX)
        memory[longer.count++] = step;
    return longer;
}

static stele_status classify(const struct ticket_opened *ticket, stele_context *context)
{
    const char *memory[STEPS_MAX];

    return STELE_PUBLISH(context, ticket_classified, .id = ticket->id, .text = ticket->text,
                         .topic = strstr(ticket->text, "invoice") ? "billing" : "technical",
                         .steps = with_step(&ticket->steps, "classify", memory));
}
STELE_DEFINE_HANDLER(classify, ticket_opened)

static stele_status prioritise(const struct ticket_classified *ticket, stele_context *context)
{
    const char *memory[STEPS_MAX];

    return STELE_PUBLISH(context, ticket_prioritised, .id = ticket->id, .text = ticket->text, .topic = ticket->topic,
                         .priority = strstr(ticket->text, "down") ? 1 : 3,
                         .steps = with_step(&ticket->steps, "prioritise", memory));
}
STELE_DEFINE_HANDLER(prioritise, ticket_classified)

static stele_status assign(const struct ticket_prioritised *ticket, stele_context *context)
{
    const char *memory[STEPS_MAX];
    const bool is_urgent = ticket->priority == 1;

    return STELE_PUBLISH(context, ticket_assigned, .id = ticket->id, .text = ticket->text, .topic = ticket->topic,
                         .priority = ticket->priority, .team = is_urgent ? "on call" : ticket->topic,
                         .steps = with_step(&ticket->steps, "assign", memory));
}
STELE_DEFINE_HANDLER(assign, ticket_prioritised)

static stele_status print(const struct ticket_assigned *ticket, stele_context *context)
{
    (void)context;
    printf("%s: %s, priority %d, to %s; by", ticket->id, ticket->topic, (int)ticket->priority, ticket->team);
    for (size_t i = 0; i < ticket->steps.count; i++)
        printf(" %s", ticket->steps.items[i]);
    printf("\n");
    return STELE_OK;
}
STELE_DEFINE_HANDLER(print, ticket_assigned)

static const struct stele_type *const types[] = {&ticket_opened_type, &ticket_classified_type, &ticket_prioritised_type,
                                                 &ticket_assigned_type, NULL};
static const struct stele_type *const accepts[] = {&ticket_opened_type, NULL};
#define PUBLISHES(name) \
    (const struct stele_type *const[]) \
    { \
        &ticket_##name##_type, NULL \
    }
static const struct stele_route routes[] = {
    {.name = "classify",
     .on = "opened",
     .handle = classify_handle,
     .publishes = PUBLISHES(classified),
     .delivery = STELE_QUEUED},
    {.name = "prioritise",
     .on = "classified",
     .handle = prioritise_handle,
     .publishes = PUBLISHES(prioritised),
     .delivery = STELE_QUEUED},
    {.name = "assign",
     .on = "prioritised",
     .handle = assign_handle,
     .publishes = PUBLISHES(assigned),
     .delivery = STELE_QUEUED},
    {.name = "print", .on = "assigned", .handle = print_handle, .delivery = STELE_QUEUED},
};
static const struct stele_module tickets = {
    .name = "ticket",
    .types = types,
    .accepts = accepts,
    .routes = routes,
    .route_count = sizeof(routes) / sizeof(routes[0]),
};

static stele_status run(stele_app *app, stele_error **error)
{
    static const struct ticket_opened all[] = {
        {.id = "t-1", .text = "the site is down"},
        {.id = "t-2", .text = "my invoice is wrong"},
        {.id = "t-3", .text = "how do I log in?"},
    };
    stele_status status = STELE_OK;

    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]) && status == STELE_OK; i++)
        status = example_deliver(app, &ticket_opened_type, &all[i], NULL, error);
    return status;
}

int main(int argc, char **argv)
{
    static const struct stele_module *const modules[] = {&tickets, NULL};
    const struct example example = {modules, NULL, NULL, run};

    return example_main(argc, argv, &example);
}
