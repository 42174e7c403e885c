/*
 * The bank: a ledger (a store), and an app on it to which lines of statements are
 * sent as commands.
 */
#ifndef BANK_BANK_H
#define BANK_BANK_H

#include "account.h"
#include "alerts.h"
#include "line.h"
#include "post.h"
#include "watch.h"

#include <stele.h>

struct bank {
    stele_store *ledger;
    stele_repository *accounts; /* of a ledger opened for reading; otherwise there is the app, with its own */
    stele_runtime *runtime;
    stele_app *app;
    struct books books;
    struct alerts alerts;
    stele_projections *projections; /* balances and the watch */
    struct watch watch;
    stele_arena *arena;       /* of the answer at hand */
    struct stele_clock clock; /* tells the time of the line at hand: a ledger of statements lives by their dates */
    int64_t now;
};

struct bank_options {
    enum stele_open_mode mode;
    struct alerts alerts; /* none without `out` */
    FILE *watch;          /* where the fraud watch tells; NULL: there is none */
};

/* Open a bank on a ledger. `bank` must stay where it is until bank_close(). */
stele_status bank_open(struct bank *bank, const char *ledger, const struct bank_options *options, stele_error **error);
/* Close what is open of it. */
void bank_close(struct bank *bank);

enum outcome {
    OUTCOME_ACCEPTED,
    OUTCOME_REJECTED,
    OUTCOME_HANDLED,  /* an earlier run, or an equal line before, had the same line: nothing has changed */
    OUTCOME_MALFORMED /* a value breaks a rule of its type: no command can be made of it */
};

enum { REASON_SIZE = 256 };

/*
 * Handle one line. On STELE_OK `*outcome` says what became of it; `reason` is
 * the rule of a rejection, or what is wrong with a malformed line. Any other
 * status is trouble with the ledger.
 */
stele_status bank_handle(struct bank *bank, const struct line *line, enum outcome *outcome, char reason[REASON_SIZE],
                         stele_error **error);

/* All money that ever came in and went out over the counter, and what the accounts hold. */
struct totals {
    size_t accounts;
    int64_t deposited;
    int64_t withdrawn;
    int64_t held;
};

/* Read the whole ledger and add it up. STELE_LIMIT if a sum cannot be held. */
stele_status bank_totals(struct bank *bank, struct totals *totals, stele_error **error);

/* Call `visit` for every account, by number, until it fails. */
typedef stele_status account_visit(void *context, const struct account *account, stele_error **error);
stele_status bank_accounts(struct bank *bank, account_visit *visit, void *context, stele_error **error);

/* The name of the stream of an account. */
void account_stream(const char *number, char stream[STREAM_SIZE]);

#endif
