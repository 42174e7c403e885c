/* The control of failing stores, for the backend that asks it. */
#ifndef TESTKIT_FAULTS_H
#define TESTKIT_FAULTS_H

#include <stele/spi/store.h>
#include <stele/testkit.h>

/* What is to become of one call. */
struct verdict {
    bool fails;
    bool after;
    stele_status status;
};

/* Count a call, and ask what is to become of it. Thread-safe. */
struct verdict stele__kit_ask(stele_faults *faults, enum stele_store_call call);

/* The failure of a call that was made to fail. */
stele_status stele__kit_fail_call(const struct verdict *verdict, stele_error **error);

/* Put a backend that asks `faults` over another: stele_backend_wrap, with the control as its context. */
stele_status stele__kit_wrap(void *faults, struct stele_backend *inner, struct stele_backend **out,
                             stele_error **error);

#endif
