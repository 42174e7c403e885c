/*
 * Hooks: what happened -> the user's function, if there is one for it.
 *
 * What a hook does is told to none, so that one that appends does not call
 * itself without end. But inside its append it may commit or deliver what others
 * have appended: that is theirs, and told. What can fail: a table whose size says
 * that it was made for another library.
 */
#include "store/hooks.h"

#include "base/error.h"

static _Thread_local bool is_in_hook;

/* Call a function of the table, if it is there. */
#define TELL(hooks, function, fact) \
    do { \
        if ((hooks) && (hooks)->function) { \
            const bool outer_ = is_in_hook; \
            is_in_hook = true; \
            (hooks)->function((hooks)->context, (fact)); \
            is_in_hook = outer_; \
        } \
    } while (0)

stele_status stele__hooks_check(const struct stele_hooks *hooks, stele_error **error)
{
    return stele__options_check(hooks, sizeof(*hooks), sizeof(*hooks), "options.hooks", error);
}

const struct stele_hooks *stele__hooks_here(const struct stele_hooks *hooks)
{
    return is_in_hook ? NULL : hooks;
}

void stele__hook_commit(const struct stele_hooks *hooks, const struct stele_hook_commit *commit)
{
    TELL(hooks, commit, commit);
}

void stele__hook_loaded(const struct stele_hooks *hooks, const struct stele_hook_loaded *loaded)
{
    hooks = stele__hooks_here(hooks);
    TELL(hooks, loaded, loaded);
}

void stele__hook_snapshot_saved(const struct stele_hooks *hooks, const struct stele_hook_snapshot *snapshot)
{
    hooks = stele__hooks_here(hooks);
    TELL(hooks, snapshot_saved, snapshot);
}

void stele__hook_snapshot_loaded(const struct stele_hooks *hooks, const struct stele_hook_snapshot *snapshot)
{
    hooks = stele__hooks_here(hooks);
    TELL(hooks, snapshot_loaded, snapshot);
}

void stele__hook_snapshot_discarded(const struct stele_hooks *hooks, const struct stele_hook_snapshot *snapshot)
{
    hooks = stele__hooks_here(hooks);
    TELL(hooks, snapshot_discarded, snapshot);
}

void stele__hook_outcome(const struct stele_hooks *hooks, const struct stele_write *writes, size_t count,
                         const struct stele_append_member *member)
{
    const struct stele_appended *result = &member->result;
    const struct stele_conflict *conflict;

    if (member->status == STELE_OK && count > 0 && !result->repeated && !result->replayed) {
        const struct stele_hook_appended appended = {writes, count, result};

        TELL(hooks, appended, &appended);
    }
    if (member->status == STELE_CONFLICT && (conflict = stele_error_conflict(member->error)) != NULL)
        TELL(hooks, conflict, conflict);
}
