/* A domain for the kit's own tests. */
#include "tests/unit/testkit/parcel.h"

STELE_DEFINE_STRUCT(good, GOOD);
STELE_DEFINE_EVENT(parcel_packed, "parcel.packed", 2, PARCEL_PACKED);
STELE_DEFINE_EVENT(parcel_sent, "parcel.sent", 1, PARCEL_SENT);
STELE_DEFINE_EVENT(parcel_labelled, "parcel.labelled", 1, PARCEL_LABELLED);
STELE_DEFINE_EVENT(parcel_lost, "parcel.lost", 1, PARCEL_LOST);
STELE_DEFINE_COMMAND(pack_parcel, "parcel.pack", 1, PACK_PARCEL);
STELE_DEFINE_COMMAND(send_parcel, "parcel.send", 1, SEND_PARCEL);
STELE_DEFINE_COMMAND(burn_parcel, "parcel.burn", 1, BURN_PARCEL);
STELE_DEFINE_STATE(parcel, "parcel", 1, PARCEL);

static const struct stele_change renamed[] = {STELE_RENAME("to", "address"), STELE_ADD("goods", "[]")};

const struct stele_upcaster parcel_upcasters[1] = {
    {.from = "parcel.packed",
     .from_version = 1,
     .to = "parcel.packed",
     .to_version = 2,
     .changes = renamed,
     .change_count = 2},
};

static void on_packed(struct parcel *parcel, const struct parcel_packed *event)
{
    parcel->address = event->address;
    parcel->weight = event->weight;
    if (event->goods.count)
        parcel->first = event->goods.items[0];
}

static void on_sent(struct parcel *parcel, const struct parcel_sent *event)
{
    (void)event;
    parcel->is_sent = true;
}

static void on_labelled(struct parcel *parcel, const struct parcel_labelled *event)
{
    (void)parcel;
    (void)event;
}

/* An empty address breaks a rule of the event. */
static stele_status decide_pack(const struct parcel *parcel, const struct pack_parcel *command,
                                stele_decision *decision)
{
    (void)parcel;
    return STELE_EMIT(decision, parcel_packed, .address = command->address);
}

static stele_status decide_send(const struct parcel *parcel, const struct send_parcel *command,
                                stele_decision *decision)
{
    stele_status status;

    if (!parcel->address)
        return stele_decision_reject(decision, "not packed: \"%s\"", command->label);
    if (parcel->is_sent)
        return STELE_OK;
    status = STELE_EMIT(decision, parcel_labelled, .label = command->label);
    return status == STELE_OK ? STELE_EMIT(decision, parcel_sent, .at = stele_decision_time(decision)) : status;
}

#define PARCEL_EVENTS(EVOLVE, A) \
    EVOLVE(A, parcel_packed, on_packed) \
    EVOLVE(A, parcel_sent, on_sent) \
    EVOLVE(A, parcel_labelled, on_labelled)
#define PARCEL_COMMANDS(DECIDE, A) \
    DECIDE(A, pack_parcel, decide_pack) \
    DECIDE(A, send_parcel, decide_send)
STELE_DEFINE_AGGREGATE(parcel, PARCEL_EVENTS, PARCEL_COMMANDS);
