/*
 * Bids on an auction, all sent at once. They meet in one mailbox per auction, so
 * that each is judged on the state the one before it has left: of two equal
 * bids the first wins, and the second bidder is told why it lost.
 */
#include "example.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PLACE_BID(FIELD, T) \
    FIELD(T, TEXT, auction, STELE_NON_EMPTY) \
    FIELD(T, TEXT, bidder, STELE_NON_EMPTY) \
    FIELD(T, INT64, cents, STELE_POSITIVE)
#define BID_PLACED(FIELD, T) \
    FIELD(T, TEXT, auction) \
    FIELD(T, TEXT, bidder) \
    FIELD(T, INT64, cents)
STELE_DECLARE(place_bid, PLACE_BID);
STELE_DECLARE(bid_placed, BID_PLACED);
STELE_DECLARE(bid_answered, BID_PLACED);
STELE_DEFINE_COMMAND(place_bid, "auction.place-bid", 1, PLACE_BID);
STELE_DEFINE_EVENT(bid_placed, "auction.bid-placed", 1, BID_PLACED);
STELE_DEFINE_REPLY(bid_answered, "auction.bid-answered", 1, BID_PLACED);

enum { AUCTIONS = 2, NAME_SIZE = 32 };

/* One slot per auction: handlers of one auction never run at the same time. */
struct auctions {
    const char *names[AUCTIONS];
    int64_t highest[AUCTIONS];
    char leaders[AUCTIONS][NAME_SIZE];
};

static stele_status judge(struct auctions *auctions, const struct place_bid *bid, stele_context *context)
{
    const size_t slot = strcmp(bid->auction, auctions->names[0]) == 0 ? 0 : 1;
    stele_status status;

    if (bid->cents <= auctions->highest[slot])
        return stele_context_fail(context, STELE_REJECTED, "%s bids %" PRId64 " for %s, the highest is %" PRId64,
                                  bid->bidder, bid->cents, bid->auction, auctions->highest[slot]);
    auctions->highest[slot] = bid->cents;
    snprintf(auctions->leaders[slot], NAME_SIZE, "%s", bid->bidder);
    status = STELE_PUBLISH(context, bid_placed, bid->auction, bid->bidder, bid->cents);
    return status == STELE_OK ? STELE_REPLY(context, bid_answered, bid->auction, bid->bidder, bid->cents) : status;
}
STELE_DEFINE_HANDLER_WITH(judge, place_bid, auctions)

static stele_status announce(const struct bid_placed *bid, stele_context *context)
{
    (void)bid;
    (void)context;
    return STELE_OK;
}
STELE_DEFINE_HANDLER(announce, bid_placed)

static const struct stele_type *const types[] = {&place_bid_type, &bid_placed_type, &bid_answered_type, NULL};
static const struct stele_type *const accepts[] = {&place_bid_type, NULL};
static const struct stele_type *const judged[] = {&bid_placed_type, NULL};
static const struct stele_route routes[] = {
    {.name = "judge",
     .on = "place-bid",
     .handle = judge_handle,
     .uses = "auctions",
     .publishes = judged,
     .replies = &bid_answered_type,
     .delivery = STELE_QUEUED,
     .partition = "auction",
     .on_failure = STELE_IGNORE},
    {.name = "announce", .on = "bid-placed", .handle = announce_handle, .delivery = STELE_QUEUED},
};
static const struct stele_module auction_module = {
    .name = "auction",
    .types = types,
    .accepts = accepts,
    .routes = routes,
    .route_count = sizeof(routes) / sizeof(routes[0]),
};

/* Publish all bids in one unit of work, without waiting between them. */
static stele_status send_bids(stele_unit *unit, stele_error **error)
{
    static const struct place_bid bids[] = {
        {"lamp", "anna", 1000}, {"chair", "anna", 500}, {"lamp", "bert", 1200},
        {"lamp", "carl", 1200}, {"lamp", "dora", 1100}, {"chair", "bert", 700},
    };
    stele_status status = STELE_OK;

    for (size_t i = 0; i < sizeof(bids) / sizeof(bids[0]) && status == STELE_OK; i++) {
        stele_message *message = NULL;

        status = place_bid_message(&bids[i], NULL, &message, error);
        if (status == STELE_OK)
            status = stele_unit_publish(unit, message, NULL, error);
        stele_message_unref(message);
    }
    return status;
}

static stele_status run(stele_app *app, stele_error **error)
{
    const struct auctions *auctions = stele_app_resource(app, "auctions");
    struct stele_unit_outcome outcome = {0};
    stele_unit *unit = NULL;
    stele_status status = stele_unit_begin(stele_app_bus(app), NULL, &unit, error);

    if (status == STELE_OK)
        status = send_bids(unit, error);
    if (unit)
        stele_unit_end(unit, &outcome, NULL);
    for (size_t i = 0; i < outcome.failures_kept; i++)
        printf("rejected: %s\n", outcome.failures[i].text);
    for (size_t i = 0; i < AUCTIONS; i++)
        printf("%s: %s leads with %" PRId64 "\n", auctions->names[i], auctions->leaders[i], auctions->highest[i]);
    stele_unit_outcome_fini(&outcome);
    return status;
}

int main(int argc, char **argv)
{
    static const struct stele_module *const modules[] = {&auction_module, NULL};
    struct auctions auctions = {.names = {"lamp", "chair"}};
    const struct example example = {modules, "auctions", &auctions, run};

    return example_main(argc, argv, &example);
}
