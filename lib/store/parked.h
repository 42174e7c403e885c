/*
 * Events that a subscription has put aside: dead letters ("$dead") under its
 * name. One that is requeued, by whomever, is shown to the subscriber once more.
 */
#ifndef STELE_STORE_PARKED_H
#define STELE_STORE_PARKED_H

#include "store/subscription.h"

/* What a subscription remembers of its parked events. */
struct stele__parked;

/* Find what is parked under the subscription's name. Errors as stele_read(). */
stele_status stele__parked_new(stele_subscription *subscription, struct stele__parked **out, stele_error **error);
void stele__parked_free(struct stele__parked *parked);

/* Put aside the event that failed (`poison`). Errors as stele_append(). */
stele_status stele__parked_add(stele_subscription *subscription, stele_error **error);
/* Show those again that were requeued; what fails is parked again. STELE_OK if all is well with the surroundings. */
stele_status stele__parked_replay(stele_subscription *subscription, stele_error **error);

#endif
