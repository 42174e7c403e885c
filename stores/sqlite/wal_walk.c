/*
 * Walking a write-ahead log frame by frame, to tell a torn end from damage.
 *
 *     header 32 bytes: magic, format, page size, checkpoint number, salt 1, salt 2, checksum (2 words) of the 24 before
 *     frame  24 bytes: page number, pages after commit (0: no commit), salts, checksum (2 words); then the page
 *
 * Each checksum goes on from that of the frame before, so SQLite ignores all
 * behind the first frame that does not fit. That is right for a torn end, where
 * nothing whole follows. Whole commits behind it mean that a frame was damaged
 * later: the walk goes on there, starting each frame's chain from what its
 * predecessor says, and counts them. Sizes in the file are never trusted.
 *
 * A header that does not fit may have been torn while the log began anew; where
 * it may as well be damaged, the database tells: all that such a log held is in it.
 */
#include "sqlite/sqlite.h"

#include "base/error.h"
#include "base/memory.h"
#include "base/vector.h"

#include <stdlib.h>
#include <string.h>

enum {
    HEADER = 32,
    FRAME = 24,
    MAGIC = 0x377f0682, /* the lowest bit says in which byte order the checksums are summed up */
    FORMAT = 3007000,
    PAGE_MIN = 512,
    PAGE_MAX = 65536
};

struct sum {
    uint32_t first, second;
};

/* A log on its way. */
struct walk {
    struct sqlite_wal_source *source;
    size_t page;
    bool big_endian;
    unsigned char salts[8];
    struct sum computed; /* the chain as the bytes give it */
    struct sum stated;   /* the checksum that the frame before carries */
    unsigned char *frame;
    struct stele__vector *places; /* of sound frames; NULL: not asked for */
    size_t committed;             /* so many of them */
    uint32_t pages;               /* of the database, after the last commit */
};

static uint32_t get32(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static uint32_t get32_little(const unsigned char *bytes)
{
    return (uint32_t)bytes[3] << 24 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[1] << 8 | bytes[0];
}

/* SQLite's checksum: `size` is a multiple of 8. */
static struct sum add(struct sum sum, const unsigned char *bytes, size_t size, bool big_endian)
{
    for (size_t i = 0; i < size; i += 8) {
        sum.first += (big_endian ? get32(bytes + i) : get32_little(bytes + i)) + sum.second;
        sum.second += (big_endian ? get32(bytes + i + 4) : get32_little(bytes + i + 4)) + sum.first;
    }
    return sum;
}

static struct sum read_sum(const unsigned char *bytes)
{
    return (struct sum){get32(bytes), get32(bytes + 4)};
}

static bool equal(struct sum left, struct sum right)
{
    return left.first == right.first && left.second == right.second;
}

static bool is_page_size(size_t size)
{
    return size >= PAGE_MIN && size <= PAGE_MAX && (size & (size - 1)) == 0;
}

/* --- The header ------------------------------------------------------------------------- */

enum header {
    HEADER_SOUND,
    HEADER_TORN, /* the log was just beginning anew: nothing behind it is at risk */
    HEADER_TORN_OR_DAMAGED,
    HEADER_DAMAGED
};

/*
 * When all of the log is in the file, SQLite begins it anew: one write puts a
 * header with the next number, the next first salt, a new second one and a new
 * checksum over the old one. If a power cut tears that write behind its first
 * `written` bytes, the rest is the old header's, and its checksum fits the header
 * that was there before:
 *
 *     written   12 | 13 14 15 16 | 17 18 19 20 | 21 ...
 *     number   old |   becomes new    new      |
 *     salt 1   old |     old     | becomes new | a new second salt: the frames are of another generation
 *
 * Up to 16 bytes, one flipped bit may look the same: the lowest of the number.
 */
enum { NUMBER = 12, SALT = 16, SALT_END = 20 };

/*
 * Back to what a number was before the first bytes of the next one were written
 * over it, all but the last `old`. False if that changes nothing: adding one must
 * have carried out of these.
 */
static bool take_back(unsigned char number[4], size_t old)
{
    for (size_t i = 4 - old; i < 4; i++)
        if (number[i] != 0xff)
            return false;
    for (size_t i = 4 - old; i-- > 0;)
        if (number[i]-- != 0)
            break;
    return true;
}

static bool is_torn_behind(const unsigned char header[HEADER], size_t written)
{
    const struct sum start = {0, 0};
    const size_t old_of_number = written < SALT ? SALT - written : 0;
    unsigned char before[24];

    memcpy(before, header, sizeof(before));
    return take_back(before + NUMBER, old_of_number) &&
           (written <= SALT || take_back(before + SALT, SALT_END - written)) &&
           equal(add(start, before, sizeof(before), get32(header) & 1), read_sum(header + 24));
}

/* Take the header; if it is damaged, a store's usual values are assumed. */
static enum header read_header(struct walk *walk, const unsigned char header[HEADER])
{
    const struct sum start = {0, 0};
    const uint32_t magic = get32(header);
    const size_t page = get32(header + 8);
    const bool usual = (magic & ~1U) == MAGIC && get32(header + 4) == FORMAT && is_page_size(page);

    walk->big_endian = magic & 1;
    walk->computed = add(start, header, 24, walk->big_endian);
    walk->stated = read_sum(header + 24);
    walk->page = usual ? page : SQLITE_STORE_PAGE;
    memcpy(walk->salts, header + SALT, sizeof(walk->salts));
    if (usual && equal(walk->computed, walk->stated))
        return HEADER_SOUND;
    for (size_t written = NUMBER + 1; usual && written <= SALT_END; written++)
        if (is_torn_behind(header, written))
            return written <= SALT ? HEADER_TORN_OR_DAMAGED : HEADER_TORN;
    return HEADER_DAMAGED;
}

/*
 * Behind a damaged header the first frame may know the salts better, if they
 * are nearly the same. If they are quite others, the header was torn behind the
 * second salt, and the frames are of before: they are in the database.
 */
static void mend_salts(struct walk *walk)
{
    unsigned char salts[sizeof(walk->salts)];
    size_t different = 0;

    if (!walk->source->read(walk->source->context, salts, sizeof(salts), HEADER + 8))
        return;
    for (size_t i = 0; i < sizeof(salts); i++)
        different += salts[i] != walk->salts[i];
    if (different == 1)
        memcpy(walk->salts, salts, sizeof(salts));
}

/* --- The frames -------------------------------------------------------------------------- */

enum verdict { OTHER_GENERATION, DAMAGED, SOUND };

/* Judge the frame in the buffer and take over its checksums. */
static enum verdict judge(struct walk *walk, bool whole_so_far)
{
    const bool current = memcmp(walk->frame + 8, walk->salts, sizeof(walk->salts)) == 0;
    const struct sum stated = read_sum(walk->frame + 16);
    const unsigned char *page = walk->frame + FRAME;
    const struct sum on =
        add(add(walk->computed, walk->frame, 8, walk->big_endian), page, walk->page, walk->big_endian);
    bool fits = equal(on, stated);

    walk->computed = on;
    if (!fits && !whole_so_far) {
        walk->computed = add(add(walk->stated, walk->frame, 8, walk->big_endian), page, walk->page, walk->big_endian);
        fits = equal(walk->computed, stated);
    }
    walk->stated = stated;
    if (!current)
        return OTHER_GENERATION;
    return fits && get32(walk->frame) != 0 ? SOUND : DAMAGED;
}

/* Where a page is in the log. */
struct place {
    uint32_t page;
    uint64_t offset;
};

static bool note_place(struct walk *walk, uint64_t offset)
{
    struct place *place = stele__vector_add(walk->places);

    if (!place)
        return false;
    *place = (struct place){get32(walk->frame), offset + FRAME};
    return true;
}

/* False when memory is out. */
static bool walk_frames(struct walk *walk, bool whole, struct sqlite_wal_facts *out)
{
    const size_t size = FRAME + walk->page;

    for (uint64_t offset = HEADER; walk->source->read(walk->source->context, walk->frame, size, offset);
         offset += size) {
        const enum verdict verdict = judge(walk, whole);

        if (verdict != SOUND && whole) {
            whole = false;
            out->damaged = offset;
        }
        if (verdict == SOUND && walk->places && !note_place(walk, offset))
            return false;
        if (verdict != SOUND || get32(walk->frame + 4) == 0)
            continue;
        walk->pages = get32(walk->frame + 4);
        walk->committed = walk->places ? walk->places->count : 0;
        if (whole)
            out->commits++;
        else
            out->at_risk++;
    }
    return true;
}

/* Behind a header that is damaged, nobody knows in which byte order: what is sound in either is at risk. */
static bool walk_both_ways(struct walk *walk, struct sqlite_wal_facts *out)
{
    struct walk other = *walk;
    struct sqlite_wal_facts facts = {.commits = 0};

    other.big_endian = !walk->big_endian;
    if (!walk_frames(walk, false, out) || (out->at_risk == 0 && !walk_frames(&other, false, &facts)))
        return false;
    out->at_risk += facts.at_risk;
    return true;
}

static bool walk_log(struct walk *walk, struct sqlite_wal_facts *out)
{
    unsigned char bytes[HEADER];
    enum header header;
    bool done;

    if (!walk->source->read(walk->source->context, bytes, sizeof(bytes), 0))
        return true;
    header = read_header(walk, bytes);
    out->contested = header == HEADER_TORN_OR_DAMAGED;
    if (header == HEADER_TORN)
        return true;
    if (header == HEADER_DAMAGED)
        mend_salts(walk);
    walk->frame = stele__alloc(FRAME + walk->page);
    if (!walk->frame)
        return false;
    done = header == HEADER_DAMAGED ? walk_both_ways(walk, out) : walk_frames(walk, header == HEADER_SOUND, out);
    stele__free(walk->frame, FRAME + walk->page);
    return done;
}

static stele_status end_walk(const struct walk *walk, bool done, stele_error **error)
{
    if (!done)
        return stele__fail_memory(error);
    return walk->source->failed ? stele__fail(error, STELE_IO, "the write-ahead log cannot be read") : STELE_OK;
}

stele_status stele__sqlite_wal_walk(struct sqlite_wal_source *source, struct sqlite_wal_facts *out, stele_error **error)
{
    struct sqlite_wal_facts facts = {.commits = 0};
    struct walk walk = {.source = source};
    stele_status status;

    source->failed = false;
    status = end_walk(&walk, walk_log(&walk, &facts), error);
    if (status == STELE_OK)
        *out = facts;
    return status;
}

/* --- Is it in the database? --------------------------------------------------------------- */

static int compare_places(const void *left, const void *right)
{
    const struct place *one = left;
    const struct place *other = right;

    if (one->page != other->page)
        return one->page < other->page ? -1 : 1;
    return one->offset < other->offset ? -1 : one->offset > other->offset;
}

/* The last place of each page counts; pages behind the end of the database are of no account. */
static bool are_moved(const struct walk *walk, struct sqlite_wal_source *database, unsigned char *buffers)
{
    const struct place *places = walk->places->items;
    const size_t size = walk->page;

    qsort(walk->places->items, walk->committed, sizeof(*places), compare_places);
    for (size_t i = 0; i < walk->committed && places[i].page <= walk->pages; i++) {
        if (i + 1 < walk->committed && places[i + 1].page == places[i].page)
            continue;
        if (!walk->source->read(walk->source->context, buffers, size, places[i].offset) ||
            !database->read(database->context, buffers + size, size, (uint64_t)(places[i].page - 1) * size) ||
            memcmp(buffers, buffers + size, size) != 0)
            return false;
    }
    return true;
}

stele_status stele__sqlite_wal_is_moved(struct sqlite_wal_source *log, struct sqlite_wal_source *database, bool *moved,
                                        stele_error **error)
{
    struct sqlite_wal_facts facts = {.commits = 0};
    struct stele__vector places;
    struct walk walk = {.source = log, .places = &places};
    unsigned char *buffers = NULL;
    stele_status status;

    log->failed = false;
    database->failed = false;
    stele__vector_init(&places, sizeof(struct place));
    status = end_walk(&walk, walk_log(&walk, &facts), error);
    if (status == STELE_OK && walk.committed) {
        buffers = stele__alloc(2 * walk.page);
        status = buffers ? STELE_OK : stele__fail_memory(error);
    }
    if (status == STELE_OK)
        *moved = !walk.committed || are_moved(&walk, database, buffers);
    if (buffers)
        stele__free(buffers, 2 * walk.page);
    stele__vector_fini(&places);
    return status;
}
