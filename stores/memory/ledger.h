/* The command ledger of the memory backend: entries by id, and in the order in which they are forgotten. */
#ifndef STELE_MEMORY_LEDGER_H
#define STELE_MEMORY_LEDGER_H

#include <stele/spi/store.h>

#include "base/map.h"
#include "base/vector.h"

struct memory__command {
    struct stele_command_record record; /* its texts lie behind it */
    uint64_t number;                    /* order of remembering */
    size_t allocated;
};

struct memory__ledger {
    struct stele__map texts; /* ids to entries */
    struct stele__map uuids;
    struct stele__vector order; /* of pointers to entries, by time, then by number */
    uint64_t numbers;           /* given out */
};

void memory__ledger_init(struct memory__ledger *ledger);
void memory__ledger_fini(struct memory__ledger *ledger);

/* The entry with the id of `wanted`, or NULL. */
const struct stele_command_record *memory__ledger_find(const struct memory__ledger *ledger,
                                                       const struct stele_command_record *wanted);

/* Take in a command whose outcome is not there yet, NULL when memory is out; then add it or give it up. */
struct memory__command *memory__ledger_reserve(struct memory__ledger *ledger,
                                               const struct stele_command_record *command);
void memory__ledger_add(struct memory__ledger *ledger, struct memory__command *command,
                        const struct stele_appended *outcome);
/* NULL is allowed. */
void memory__ledger_give_up(struct memory__ledger *ledger, struct memory__command *command);

struct stele_command_mark memory__ledger_mark(const struct memory__ledger *ledger,
                                              const struct stele_retention *retention);
/* Returns how many are forgotten. */
uint64_t memory__ledger_forget(struct memory__ledger *ledger, const struct stele_command_mark *mark, uint64_t most);

#endif
