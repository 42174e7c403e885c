/* Calling the user's hooks: always without a lock. */
#ifndef STELE_STORE_HOOKS_H
#define STELE_STORE_HOOKS_H

#include <stele/hooks.h>
#include <stele/spi/store.h>

/* STELE_INVALID for a table that this library does not know all of. NULL is fine. */
stele_status stele__hooks_check(const struct stele_hooks *hooks, stele_error **error);

/* The table that is told of what this thread does now: none (NULL) while it is inside a hook. */
const struct stele_hooks *stele__hooks_here(const struct stele_hooks *hooks);

/* Each does nothing where there is no table, or the table has no such function. */
void stele__hook_commit(const struct stele_hooks *hooks, const struct stele_hook_commit *commit);
void stele__hook_loaded(const struct stele_hooks *hooks, const struct stele_hook_loaded *loaded);
void stele__hook_snapshot_saved(const struct stele_hooks *hooks, const struct stele_hook_snapshot *snapshot);
void stele__hook_snapshot_loaded(const struct stele_hooks *hooks, const struct stele_hook_snapshot *snapshot);
void stele__hook_snapshot_discarded(const struct stele_hooks *hooks, const struct stele_hook_snapshot *snapshot);

/* What became of an append: `appended`, `conflict`, or neither. */
void stele__hook_outcome(const struct stele_hooks *hooks, const struct stele_write *writes, size_t count,
                         const struct stele_append_member *member);

#endif
