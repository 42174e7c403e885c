/* What the tests of apps are about: orders, and what becomes of them. */
#ifndef STELE_TESTS_UNIT_APP_SHOP_H
#define STELE_TESTS_UNIT_APP_SHOP_H

#include "tests/support/support.h"

#include <stele/app.h>
#include <stele/runtime.h>

#define SHOP_TEXT(FIELD, T) FIELD(T, TEXT, order)
STELE_DECLARE(place, SHOP_TEXT);                  /* command order.place */
STELE_DECLARE(price, SHOP_TEXT);                  /* query order.price */
STELE_DECLARE(placed, SHOP_TEXT);                 /* event order.placed */
STELE_DECLARE(shipped, SHOP_TEXT);                /* event order.shipped */
STELE_DECLARE(paid, SHOP_TEXT);                   /* event payment.paid */
STELE_DECLARE(receipt, SHOP_TEXT);                /* reply order.receipt */
STELE_DECLARE(quote, SHOP_TEXT);                  /* reply order.quote */
extern const struct stele_type other_placed_type; /* another one named order.placed */

/* An aggregate: order.book with the command order.open, storing order.opened. */
#define SHOP_BOOK(FIELD, T) FIELD(T, INT64, count)
STELE_DECLARE(book, SHOP_BOOK);
STELE_DECLARE(open_order, SHOP_TEXT);
STELE_DECLARE(opened, SHOP_TEXT);
STELE_DECLARE_AGGREGATE(book);

/* Lists of one type. */
extern const struct stele_type *const only_place[],
    *const only_price[], *const only_placed[], *const only_shipped[], *const only_paid[], *const only_open[];

/* A handler that does nothing; one that writes the order, and then the route's name, into the shop's notes. */
stele_status shop_ignore(void *resource, const stele_message *message, stele_context *context);
stele_status shop_note(void *resource, const stele_message *message, stele_context *context);

/* What happened, as words with a blank behind each. Cleared by shop_clear(). */
extern char shop_notes[1024];
void shop_add_note(const char *word);
void shop_clear(void);

stele_runtime *shop_simulation(void);
stele_app *shop_app(stele_runtime *runtime, const struct stele_app_options *options);
/* A new store in memory. */
stele_store *shop_store(void);
/* A message with this order. */
stele_message *shop_message(const struct stele_type *type, const char *order);
/* Publish one on the app's bus; the routes reached. */
size_t shop_publish(const stele_app *app, const struct stele_type *type, const char *order);

/* Mount one module. */
stele_status shop_mount(stele_app *app, const struct stele_module *module, stele_error **error);
#define assert_mounts(app, module) \
    do { \
        stele_error *error_ = NULL; \
        assert_ok(shop_mount((app), (module), &error_), error_); \
    } while (0)
/* Mounting is refused with exactly these problems: "2 problems:\nFIRST\nSECOND". */
void shop_assert_refused(stele_app *app, const struct stele_module *module, const char *problems);

#endif
