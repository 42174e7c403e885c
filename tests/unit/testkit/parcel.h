/* A domain for the kit's own tests: a parcel, whose fields are of many kinds. */
#ifndef TESTS_UNIT_TESTKIT_PARCEL_H
#define TESTS_UNIT_TESTKIT_PARCEL_H

#include <stele/aggregate.h>
#include <stele/upcast.h>

#define GOOD(FIELD, T) FIELD(T, TEXT, name) FIELD(T, INT64, count)
STELE_DECLARE_STRUCT(good, GOOD);

#define PARCEL_PACKED(FIELD, T) \
    FIELD(T, TEXT, address, STELE_NON_EMPTY) \
    FIELD(T, LIST(STRUCT(good)), goods) \
    FIELD(T, OPTIONAL(DOUBLE), weight)
STELE_DECLARE(parcel_packed, PARCEL_PACKED);

#define PARCEL_SENT(FIELD, T) FIELD(T, TIME, at)
STELE_DECLARE(parcel_sent, PARCEL_SENT);

#define PARCEL_LABELLED(FIELD, T) FIELD(T, TEXT, label)
STELE_DECLARE(parcel_labelled, PARCEL_LABELLED);

/* Not in the aggregate's table. */
#define PARCEL_LOST(FIELD, T) FIELD(T, NONE, stele_unused)
STELE_DECLARE(parcel_lost, PARCEL_LOST);

#define PACK_PARCEL(FIELD, T) FIELD(T, TEXT, address)
STELE_DECLARE(pack_parcel, PACK_PARCEL);

/* Sends it now: two events, or none if it is on its way; refused if it is not packed. */
#define SEND_PARCEL(FIELD, T) FIELD(T, TEXT, label, STELE_NON_EMPTY)
STELE_DECLARE(send_parcel, SEND_PARCEL);

/* Not in the aggregate's table. */
#define BURN_PARCEL(FIELD, T) FIELD(T, NONE, stele_unused)
STELE_DECLARE(burn_parcel, BURN_PARCEL);

#define PARCEL(FIELD, T) \
    FIELD(T, TEXT, address) \
    FIELD(T, STRUCT(good), first) \
    FIELD(T, OPTIONAL(DOUBLE), weight) \
    FIELD(T, BOOL, is_sent)
STELE_DECLARE(parcel, PARCEL);
STELE_DECLARE_AGGREGATE(parcel);

/* Version 1 of parcel.packed had "to" for "address", and neither goods nor weight. */
extern const struct stele_upcaster parcel_upcasters[1];

#endif
