/*
 * Versions of a projection taking one another's place.
 *
 *     swap_new:  present locked -> its tables into ".old" -> those of ".new" in their place -> committed -> ".new" removed
 *     swap_old:  ".old" into ".back" -> then as swap_new, from ".back"
 *
 * A kill between ".old" and the commit leaves the present one there twice, and
 * the other in ".new" or ".back": the same call does the rest. One behind the commit leaves ".new" there, whose mark says
 * since before it that it was about to be put in (an old version that is not 0): it is removed by who comes next.
 *
 * What can fail: the files beside (no space, not ours), a lock held by another, memory.
 */
#include "projections/swap.h"

#include "base/arena.h"
#include "base/error.h"
#include "projections/tables.h"
#include "projections/views.h"
#include "sqlite/operations.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* --- Files beside ----------------------------------------------------------------- */

static stele_status name_beside(const char *path, const char *name, const char *suffix, char beside[PATH_MAX],
                                stele_error **error)
{
    const int length = snprintf(beside, PATH_MAX, "%s.%s.%s", path, name, suffix);

    return length < PATH_MAX ? STELE_OK : stele__fail_limit(error, "the path", (uint64_t)length, PATH_MAX - 1, "bytes");
}

static stele_status open_beside(const char *path, const char *name, const char *suffix, enum stele_open_mode mode,
                                stele_views **out, stele_error **error)
{
    struct stele_views_options options = STELE_OPTIONS_INIT(struct stele_views_options);
    char beside[PATH_MAX];
    const stele_status status = name_beside(path, name, suffix, beside, error);

    options.mode = mode;
    return status == STELE_OK ? stele_views_open(beside, &options, out, error) : status;
}

static void remove_beside(const char *path, const char *name, const char *suffix)
{
    char beside[PATH_MAX];

    if (name_beside(path, name, suffix, beside, NULL) == STELE_OK)
        stele__sqlite_remove_temporary(beside);
}

bool stele__beside_exists(const char *path, const char *name)
{
    char beside[PATH_MAX];

    return path && name_beside(path, name, "new", beside, NULL) == STELE_OK && access(beside, F_OK) == 0;
}

/* The mark of a projection; `name` of `out` is NULL if there is none. */
static stele_status look(stele_views *views, const char *name, stele_arena *arena, struct stele__mark *out,
                         stele_error **error)
{
    stele_error *why = NULL;
    const stele_status status = stele__mark_read(views, name, arena, out, &why);

    if (status == STELE_OK)
        return STELE_OK;
    if (status == STELE_NOT_FOUND) {
        stele_error_free(why);
        memset(out, 0, sizeof(*out));
        return STELE_OK;
    }
    if (error)
        *error = why;
    else
        stele_error_free(why);
    return status;
}

/* --- What is built ------------------------------------------------------------------- */

static bool is_same(const struct stele__mark *mark, const struct stele__beside *beside)
{
    return mark->name && mark->version == beside->version &&
           memcmp(mark->digest, beside->digest, STELE__DIGEST_SIZE) == 0 && strcmp(mark->tables, beside->tables) == 0;
}

/* In a transaction. Whoever builds another version there finds its mark gone when it commits. */
static stele_status begin_anew(const struct stele__beside *beside, stele_views *views, const struct stele__mark *found,
                               stele_error **error)
{
    struct stele__mark mark = {.name = beside->name, .version = beside->version, .tables = beside->tables};
    stele_status status = found->name ? stele__tables_remove(views, found, error) : STELE_OK;

    memcpy(mark.digest, beside->digest, STELE__DIGEST_SIZE);
    if (status == STELE_OK)
        status = stele__marks_create(views, error);
    if (status == STELE_OK)
        status = beside->make(beside->context, views, error);
    return status == STELE_OK ? stele__mark_write(views, &mark, error) : status;
}

static stele_status prepare(const struct stele__beside *beside, stele_views *views, stele_arena *arena,
                            stele_error **error)
{
    struct stele__mark mark;
    stele_status status = stele_views_begin(views, error);

    if (status != STELE_OK)
        return status;
    status = look(views, beside->name, arena, &mark, error);
    if (status == STELE_OK && !is_same(&mark, beside))
        status = begin_anew(beside, views, &mark, error);
    if (status == STELE_OK)
        return stele_views_commit(views, error);
    stele_views_rollback(views, NULL);
    return status;
}

stele_status stele__beside_open(const struct stele__beside *beside, stele_views **out, stele_error **error)
{
    stele_views *views = NULL;
    stele_arena *arena = NULL;
    stele_status status = stele_arena_new(&arena, error);

    if (status == STELE_OK)
        status = beside->path ? open_beside(beside->path, beside->name, "new", STELE_OPEN_CREATE, &views, error)
                              : stele__views_in_memory(&views, error);
    if (status == STELE_OK)
        status = prepare(beside, views, arena, error);
    if (status == STELE_OK)
        *out = views;
    else
        stele_views_close(views);
    stele_arena_free(arena);
    return status;
}

/* --- Taking the place -------------------------------------------------------------------- */

/* In a transaction of `into`: what `name` has there gives way to what it has in `from`. */
static stele_status replace(stele_views *into, const struct stele__mark *there, stele_views *from,
                            const struct stele__mark *mark, stele_error **error)
{
    stele_status status = there->name ? stele__tables_remove(into, there, error) : STELE_OK;

    if (status == STELE_OK)
        status = stele__marks_create(into, error);
    if (status == STELE_OK)
        status = stele__tables_copy(from, into, mark, error);
    return status == STELE_OK ? stele__mark_write(into, mark, error) : status;
}

/* The file beside, of this suffix, becomes a copy of what `from` has. */
static stele_status copy_beside(stele_views *from, const struct stele__mark *mark, const char *path, const char *suffix,
                                stele_arena *arena, stele_error **error)
{
    struct stele__mark there;
    stele_views *views = NULL;
    stele_status status = open_beside(path, mark->name, suffix, STELE_OPEN_CREATE, &views, error);

    if (status == STELE_OK)
        status = stele_views_begin(views, error);
    if (status == STELE_OK) {
        status = look(views, mark->name, arena, &there, error);
        if (status == STELE_OK)
            status = replace(views, &there, from, mark, error);
        if (status == STELE_OK)
            status = stele_views_commit(views, error);
        else
            stele_views_rollback(views, NULL);
    }
    stele_views_close(views);
    return status;
}

/* In a transaction of `present`. */
static stele_status swap(stele_views *present, stele_views *from, const struct stele__mark *mark, const char *path,
                         stele_arena *arena, stele_error **error)
{
    struct stele__mark before;
    struct stele__mark after = *mark;
    stele_status status = look(present, mark->name, arena, &before, error);

    after.old_version = before.name && path ? before.version : 0;
    if (status == STELE_OK && after.old_version)
        status = copy_beside(present, &before, path, "old", arena, error);
    return status == STELE_OK ? replace(present, &before, from, &after, error) : status;
}

/* End a transaction as its outcome says. */
static stele_status finish(stele_views *present, stele_status status, stele_error **error)
{
    if (status == STELE_OK)
        return stele_views_commit(present, error);
    stele_views_rollback(present, NULL);
    return status;
}

/* The mark of what is about to be put in says so. */
static stele_status announce(stele_views *built, struct stele__mark *mark, stele_error **error)
{
    mark->old_version = mark->version;
    return stele__mark_write(built, mark, error);
}

stele_status stele__swap_new(stele_views *present, stele_views **built, const char *path, const char *name,
                             stele_error **error)
{
    struct stele__mark mark;
    stele_arena *arena = NULL;
    stele_status status = stele_arena_new(&arena, error);

    if (status == STELE_OK)
        status = stele_views_begin(present, error);
    if (status == STELE_OK) {
        status = stele__mark_read(*built, name, arena, &mark, error);
        if (status == STELE_OK)
            status = announce(*built, &mark, error);
        if (status == STELE_OK)
            status = swap(present, *built, &mark, path, arena, error);
        status = finish(present, status, error);
    }
    stele_arena_free(arena);
    if (status != STELE_OK)
        return status;
    stele_views_close(*built);
    *built = NULL;
    if (path)
        remove_beside(path, name, "new");
    return STELE_OK;
}

/* --- And back --------------------------------------------------------------------------------- */

static stele_status fail_none(const char *name, stele_error **error)
{
    stele__fail(error, STELE_NOT_FOUND, "projection %s: no version before this one is kept", name);
    stele__error_add(error, "projection", "%s", name);
    return STELE_NOT_FOUND;
}

/* Open a file beside if it has the projection in this version; otherwise `*out` is NULL. */
static stele_status open_version(const char *path, const char *name, const char *suffix, uint32_t version,
                                 stele_arena *arena, struct stele__mark *mark, stele_views **out, stele_error **error)
{
    char beside[PATH_MAX];
    stele_views *views = NULL;
    stele_status status = name_beside(path, name, suffix, beside, error);

    if (status != STELE_OK || access(beside, F_OK) != 0)
        return status;
    status = open_beside(path, name, suffix, STELE_OPEN_EXISTING, &views, error);
    if (status == STELE_OK)
        status = look(views, name, arena, mark, error);
    if (status == STELE_OK && mark->name && mark->version == version)
        *out = views;
    else
        stele_views_close(views);
    return status;
}

/* A copy of ".old" that can be read while ".old" is written; the one of a call that was cut short, if there is one. */
static stele_status open_back(const char *path, const struct stele__mark *present, stele_arena *arena,
                              struct stele__mark *mark, stele_views **out, stele_error **error)
{
    stele_views *old = NULL;
    stele_status status = open_version(path, present->name, "old", present->old_version, arena, mark, &old, error);

    if (status == STELE_OK && old)
        status = copy_beside(old, mark, path, "back", arena, error);
    stele_views_close(old);
    if (status == STELE_OK)
        status = open_version(path, present->name, "back", present->old_version, arena, mark, out, error);
    return status == STELE_OK && !*out ? fail_none(present->name, error) : status;
}

/* In a transaction of `present`. */
static stele_status swap_back(stele_views *present, const char *path, const char *name, stele_views **back,
                              stele_arena *arena, stele_error **error)
{
    struct stele__mark mark;
    struct stele__mark old;
    stele_status status = stele__mark_read(present, name, arena, &mark, error);

    if (status == STELE_OK && (!path || !mark.old_version))
        status = fail_none(name, error);
    if (status == STELE_OK)
        status = open_back(path, &mark, arena, &old, back, error);
    return status == STELE_OK ? swap(present, *back, &old, path, arena, error) : status;
}

stele_status stele__swap_old(stele_views *present, const char *path, const char *name, stele_error **error)
{
    stele_views *back = NULL;
    stele_arena *arena = NULL;
    stele_status status = stele_arena_new(&arena, error);

    if (status == STELE_OK)
        status = stele_views_begin(present, error);
    if (status == STELE_OK) {
        status = swap_back(present, path, name, &back, arena, error);
        status = finish(present, status, error);
    }
    stele_views_close(back);
    if (status == STELE_OK)
        remove_beside(path, name, "back");
    stele_arena_free(arena);
    return status;
}

/* --- What a kill has left ------------------------------------------------------------------------ */

/* The mark in a file beside; `name` of `out` is NULL if there is none, or no such file. */
static stele_status look_beside(const char *path, const char *name, const char *suffix, stele_arena *arena,
                                struct stele__mark *out, stele_error **error)
{
    char beside[PATH_MAX];
    stele_views *views = NULL;
    stele_status status = name_beside(path, name, suffix, beside, error);

    out->name = NULL;
    if (status != STELE_OK || access(beside, F_OK) != 0)
        return status;
    status = open_beside(path, name, suffix, STELE_OPEN_EXISTING, &views, error);
    if (status == STELE_OK)
        status = look(views, name, arena, out, error);
    stele_views_close(views);
    return status;
}

stele_status stele__beside_is_of(const char *path, const char *name, uint32_t version, const uint8_t *digest, bool *is,
                                 stele_error **error)
{
    struct stele__mark mark;
    struct stele_arena arena;
    stele_status status;

    *is = false;
    if (!path)
        return STELE_OK;
    stele__arena_init(&arena);
    status = look_beside(path, name, "new", &arena, &mark, error);
    *is = status == STELE_OK && mark.name && mark.version == version &&
          memcmp(mark.digest, digest, STELE__DIGEST_SIZE) == 0;
    stele__arena_fini(&arena);
    return status;
}

static bool are_same(const struct stele__mark *left, const struct stele__mark *right)
{
    return left->name && right->name && left->version == right->version &&
           memcmp(left->digest, right->digest, STELE__DIGEST_SIZE) == 0;
}

/* In a transaction of `present`, so that nobody is in the middle of a swap. */
static stele_status tidy(stele_views *present, const char *path, const char *name, stele_arena *arena,
                         stele_error **error)
{
    struct stele__mark there, built, old;
    bool was_announced;
    stele_status status = look(present, name, arena, &there, error);

    if (status == STELE_OK)
        status = look_beside(path, name, "new", arena, &built, error);
    if (status == STELE_OK)
        status = look_beside(path, name, "old", arena, &old, error);
    if (status != STELE_OK)
        return status;
    was_announced = built.name && built.old_version != 0 && are_same(&built, &there);
    /* If ".old" is what is there, the present one was kept, and the other was not put in its place yet. */
    if (was_announced && !(are_same(&old, &there) && old.position == there.position))
        remove_beside(path, name, "new");
    return STELE_OK;
}

stele_status stele__beside_tidy(stele_views *present, const char *path, const char *name, stele_error **error)
{
    stele_arena *arena = NULL;
    stele_status status = STELE_OK;

    if (!stele__beside_exists(path, name))
        return STELE_OK;
    status = stele_arena_new(&arena, error);
    if (status == STELE_OK)
        status = stele_views_begin(present, error);
    if (status == STELE_OK)
        status = finish(present, tidy(present, path, name, arena, error), error);
    stele_arena_free(arena);
    return status;
}
