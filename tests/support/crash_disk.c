/*
 * The disk of crash_vfs.h. An operation is first judged (does a fault strike?),
 * then applied to what programs see, then kept among the pending ones until a
 * sync makes it durable. Images are made from the durable layer and a choice of
 * the pending operations.
 */
#include "tests/support/crash_disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Random numbers (splitmix64) and memory --------------------------------------- */

uint64_t crash_random(uint64_t *state)
{
    *state += 0x9E3779B97F4A7C15U;
    uint64_t mixed = *state;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9U;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBU;
    return mixed ^ (mixed >> 31);
}

uint64_t crash_random_below(uint64_t *state, uint64_t limit)
{
    return crash_random(state) % limit;
}

void *disk_allocate(void *memory, size_t size)
{
    void *result = realloc(memory, size);
    if (result == NULL) {
        fputs("out of memory\n", stderr);
        abort();
    }
    return result;
}

static void bytes_resize(struct bytes *bytes, size_t size, unsigned char filler)
{
    if (size > bytes->room) {
        size_t room = bytes->room == 0 ? 4096 : bytes->room;
        while (room < size)
            room *= 2;
        bytes->data = disk_allocate(bytes->data, room);
        bytes->room = room;
    }
    if (size > bytes->size)
        memset(bytes->data + bytes->size, filler, size - bytes->size);
    bytes->size = size;
}

static void bytes_write(struct bytes *bytes, uint64_t offset, const void *from, size_t size)
{
    if (offset + size > bytes->size)
        bytes_resize(bytes, (size_t)offset + size, 0);
    if (size > 0)
        memcpy(bytes->data + offset, from, size);
}

/* --- Operations ---------------------------------------------------------------------- */

static struct operation *operation_new(enum operation_kind kind, size_t file, uint64_t offset, const void *bytes,
                                       size_t size)
{
    struct operation *operation = disk_allocate(NULL, sizeof *operation + size);
    *operation = (struct operation){.references = 1, .kind = kind, .file = file, .offset = offset, .size = size};
    if (size > 0)
        memcpy(operation->bytes, bytes, size);
    return operation;
}

static void operation_unref(struct operation *operation)
{
    if (operation != NULL && --operation->references == 0)
        free(operation);
}

static void operations_add(struct operations *operations, struct operation *operation)
{
    if (operations->count == operations->room) {
        operations->room = operations->room == 0 ? 64 : 2 * operations->room;
        operations->list = disk_allocate(operations->list, operations->room * sizeof *operations->list);
    }
    operation->references++;
    operations->list[operations->count++] = operation;
}

static void operations_clear(struct operations *operations)
{
    for (size_t i = 0; i < operations->count; i++)
        operation_unref(operations->list[i]);
    operations->count = 0;
}

static bool is_of_folder(const struct operation *operation)
{
    return operation->kind == OPERATION_CREATE || operation->kind == OPERATION_DELETE;
}

/* --- Files ------------------------------------------------------------------------------ */

struct file *disk_find(struct crash_disk *disk, const char *name)
{
    for (size_t i = 0; i < disk->file_count; i++)
        if (disk->files[i]->linked && strcmp(disk->files[i]->name, name) == 0)
            return disk->files[i];
    return NULL;
}

size_t disk_add_file(struct crash_disk *disk, const char *name)
{
    struct file *file = disk_allocate(NULL, sizeof *file);
    memset(file, 0, sizeof *file);
    snprintf(file->name, sizeof file->name, "%s", name);
    disk->files = disk_allocate(disk->files, (disk->file_count + 1) * sizeof *disk->files);
    disk->files[disk->file_count] = file;
    return disk->file_count++;
}

static void remove_files(struct crash_disk *disk)
{
    for (size_t i = 0; i < disk->file_count; i++) {
        struct file *file = disk->files[i];
        for (size_t region = 0; region < SHM_REGIONS; region++)
            free(file->regions[region]);
        free(file->cached.data);
        free(file->durable.data);
        free(file);
    }
    disk->file_count = 0;
}

void disk_write_cached(struct file *file, uint64_t offset, const void *bytes, size_t size)
{
    bytes_write(&file->cached, offset, bytes, size);
}

/* --- The two layers ---------------------------------------------------------------------- */

static void apply_to_cached(struct crash_disk *disk, const struct operation *operation)
{
    struct file *file = disk->files[operation->file];

    switch (operation->kind) {
    case OPERATION_CREATE: file->linked = true; break;
    case OPERATION_DELETE: file->linked = false; break;
    case OPERATION_WRITE: bytes_write(&file->cached, operation->offset, operation->bytes, operation->size); break;
    case OPERATION_TRUNCATE: bytes_resize(&file->cached, (size_t)operation->offset, 0); break;
    case OPERATION_SYNC:
    case OPERATION_SYNC_FOLDER:
    case OPERATION_DROP: break;
    }
}

static void apply_to_durable(struct crash_disk *disk, const struct operation *operation)
{
    struct file *file = disk->files[operation->file];

    switch (operation->kind) {
    case OPERATION_CREATE: file->durable_linked = true; break;
    case OPERATION_DELETE: file->durable_linked = false; break;
    case OPERATION_WRITE: bytes_write(&file->durable, operation->offset, operation->bytes, operation->size); break;
    case OPERATION_TRUNCATE: bytes_resize(&file->durable, (size_t)operation->offset, 0); break;
    case OPERATION_SYNC:
    case OPERATION_SYNC_FOLDER:
    case OPERATION_DROP: break;
    }
}

/* Of the pending operations those of a file, or of the folder, become durable, or are dropped. */
static void settle(struct crash_disk *disk, bool of_folder, size_t file, bool durable)
{
    size_t left = 0;

    for (size_t i = 0; i < disk->pending.count; i++) {
        struct operation *operation = disk->pending.list[i];
        if (is_of_folder(operation) != of_folder || (!of_folder && operation->file != file)) {
            disk->pending.list[left++] = operation;
            continue;
        }
        if (durable)
            apply_to_durable(disk, operation);
        operation_unref(operation);
    }
    disk->pending.count = left;
}

static void apply_below(struct crash_disk *disk, struct operation *operation)
{
    switch (operation->kind) {
    case OPERATION_CREATE:
    case OPERATION_DELETE:
    case OPERATION_WRITE:
    case OPERATION_TRUNCATE: operations_add(&disk->pending, operation); break;
    case OPERATION_SYNC: settle(disk, false, operation->file, true); break;
    case OPERATION_SYNC_FOLDER: settle(disk, true, 0, true); break;
    case OPERATION_DROP: settle(disk, false, operation->file, false); break;
    }
}

static void do_operation(struct crash_disk *disk, enum operation_kind kind, size_t file, uint64_t offset,
                         const void *bytes, size_t size)
{
    struct operation *operation = operation_new(kind, file, offset, bytes, size);
    const bool is_sync = kind == OPERATION_SYNC || kind == OPERATION_SYNC_FOLDER;

    apply_to_cached(disk, operation);
    if (!is_sync || !disk->options.swallows_syncs)
        apply_below(disk, operation);
    if (disk->options.recording)
        operations_add(&disk->recorded, operation);
    operation_unref(operation);
}

/* --- Faults ---------------------------------------------------------------------------------- */

static int code_of(enum operation_kind kind)
{
    switch (kind) {
    case OPERATION_CREATE: return SQLITE_CANTOPEN;
    case OPERATION_DELETE: return SQLITE_IOERR_DELETE;
    case OPERATION_WRITE: return SQLITE_IOERR_WRITE;
    case OPERATION_TRUNCATE: return SQLITE_IOERR_TRUNCATE;
    case OPERATION_SYNC_FOLDER: return SQLITE_IOERR_DIR_FSYNC;
    case OPERATION_SYNC:
    case OPERATION_DROP: break;
    }
    return SQLITE_IOERR_FSYNC;
}

static int cut_power(struct crash_disk *disk, struct operation *operation)
{
    operation_unref(disk->in_flight);
    disk->in_flight = operation;
    disk->dark = true;
    return code_of(operation->kind);
}

/* Only half of the write is done. */
static int write_half(struct crash_disk *disk, size_t file, uint64_t offset, const void *bytes, size_t size)
{
    do_operation(disk, OPERATION_WRITE, file, offset, bytes, size / 2);
    return SQLITE_FULL;
}

static int lie(struct crash_disk *disk, size_t file)
{
    do_operation(disk, OPERATION_DROP, file, 0, NULL, 0);
    return SQLITE_IOERR_FSYNC;
}

static bool is_concerned(enum crash_fault fault, enum operation_kind kind)
{
    if (fault == CRASH_DISK_FULL)
        return kind == OPERATION_WRITE || kind == OPERATION_CREATE;
    if (fault == CRASH_LYING_SYNC)
        return kind == OPERATION_SYNC;
    return fault != CRASH_NO_FAULT;
}

int disk_operate(struct crash_disk *disk, enum operation_kind kind, size_t file, uint64_t offset, const void *bytes,
                 size_t size)
{
    if (disk->dark)
        return code_of(kind);
    disk->count++;
    const bool strikes =
        disk->count >= disk->fault_at && (disk->fault_for_ever || !disk->failed) && is_concerned(disk->fault, kind);
    if (!strikes) {
        do_operation(disk, kind, file, offset, bytes, size);
        return SQLITE_OK;
    }
    disk->failed = true;
    if (disk->fault == CRASH_POWER_CUT)
        return cut_power(disk, operation_new(kind, file, offset, bytes, size));
    if (disk->fault == CRASH_LYING_SYNC)
        return lie(disk, file);
    if (disk->fault == CRASH_SHORT_WRITE && kind == OPERATION_WRITE)
        return write_half(disk, file, offset, bytes, size);
    return disk->fault == CRASH_DISK_FULL ? SQLITE_FULL : code_of(kind);
}

void crash_disk_fail(struct crash_disk *disk, enum crash_fault fault, size_t at, bool for_ever)
{
    pthread_mutex_lock(&disk->mutex);
    disk->fault = fault;
    disk->fault_at = at;
    disk->fault_for_ever = for_ever;
    disk->failed = false;
    pthread_mutex_unlock(&disk->mutex);
}

bool crash_disk_failed(const struct crash_disk *disk)
{
    return disk->failed;
}

size_t crash_disk_operations(const struct crash_disk *disk)
{
    return disk->count;
}

/* --- Emptying and loading --------------------------------------------------------------------- */

void crash_disk_format(struct crash_disk *disk, const struct crash_options *options)
{
    remove_files(disk);
    operations_clear(&disk->pending);
    operations_clear(&disk->recorded);
    operation_unref(disk->in_flight);
    disk->in_flight = NULL;
    disk->options = *options;
    disk->count = 0;
    disk->fault = CRASH_NO_FAULT;
    disk->failed = false;
    disk->dark = false;
    disk->random = options->seed;
    /* SQLite's own random numbers, of which a log's salts are made, would otherwise be those of the process. */
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, (int)options->seed, (sqlite3 *)NULL);
    disk->time = 0;
}

void crash_disk_load(struct crash_disk *disk, const struct crash_image *image)
{
    const struct crash_options options = disk->options;

    crash_disk_format(disk, &options);
    for (size_t i = 0; i < image->count; i++) {
        const struct crash_image_file *from = &image->files[i];
        const size_t index = disk_add_file(disk, from->name);
        struct file *file = disk->files[index];
        file->linked = file->durable_linked = true;
        bytes_write(&file->cached, 0, from->bytes, from->size);
        bytes_write(&file->durable, 0, from->bytes, from->size);
    }
}

/* --- Images ------------------------------------------------------------------------------------- */

/* An image in the making. */
struct making {
    struct crash_disk *disk;
    uint64_t *random;
    struct crash_image *image;
    bool linked[CRASH_FILES_MAX * 4];
    struct bytes content[CRASH_FILES_MAX * 4]; /* by file; data is NULL until it differs from the durable layer */
    bool changed[CRASH_FILES_MAX * 4];
};

static struct bytes *content_of(struct making *making, size_t file)
{
    if (!making->changed[file]) {
        const struct bytes *durable = &making->disk->files[file]->durable;
        making->changed[file] = true;
        bytes_write(&making->content[file], 0, durable->data, durable->size);
    }
    return &making->content[file];
}

static void fill_with_noise(struct making *making, struct bytes *content, uint64_t from, uint64_t to)
{
    for (uint64_t i = from; i < to && i < content->size; i++)
        content->data[i] = (unsigned char)crash_random(making->random);
}

/* What a file gains without its bytes being written: zeros or whatever was on the disk before. */
static void grow(struct making *making, struct bytes *content, uint64_t size)
{
    const size_t before = content->size;

    if (size <= before)
        return;
    bytes_resize(content, (size_t)size, 0);
    if (crash_random_below(making->random, 2) == 0)
        fill_with_noise(making, content, before, size);
}

static void write_part(struct making *making, const struct operation *operation, uint64_t from, uint64_t to)
{
    struct bytes *content = content_of(making, operation->file);

    grow(making, content, from);
    bytes_write(content, from, operation->bytes + (from - operation->offset), (size_t)(to - from));
}

/* The sector at `offset` was being written when power failed: all of it may be noise. */
static void spoil_sector(struct making *making, const struct operation *operation, uint64_t offset)
{
    const uint64_t sector = making->disk->options.sector;
    const uint64_t start = offset / sector * sector;
    struct bytes *content = content_of(making, operation->file);
    const uint64_t end = operation->offset + operation->size;

    grow(making, content, end < start + sector ? end : start + sector);
    fill_with_noise(making, content, start, start + sector);
}

static void write_torn(struct making *making, const struct operation *operation)
{
    const uint64_t sector = making->disk->options.sector;
    const uint64_t end = operation->offset + operation->size;
    uint64_t cut = operation->offset + crash_random_below(making->random, operation->size + 1);

    if (crash_random_below(making->random, 2) == 0 && cut / sector * sector > operation->offset)
        cut = cut / sector * sector;
    write_part(making, operation, operation->offset, cut);
    if (!making->disk->options.power_safe && cut < end)
        spoil_sector(making, operation, cut);
}

static void write_some_sectors(struct making *making, const struct operation *operation)
{
    const uint64_t sector = making->disk->options.sector;
    const uint64_t end = operation->offset + operation->size;

    for (uint64_t from = operation->offset; from < end;) {
        uint64_t to = (from / sector + 1) * sector;
        if (to > end)
            to = end;
        const uint64_t luck = crash_random_below(making->random, 8);
        if (luck < 4)
            write_part(making, operation, from, to);
        else if (luck == 4 && !making->disk->options.power_safe)
            spoil_sector(making, operation, from);
        else if (luck == 4)
            write_part(making, operation, from, from + crash_random_below(making->random, to - from));
        from = to;
    }
}

static void apply_whole(struct making *making, const struct operation *operation)
{
    switch (operation->kind) {
    case OPERATION_CREATE: making->linked[operation->file] = true; break;
    case OPERATION_DELETE: making->linked[operation->file] = false; break;
    case OPERATION_WRITE: write_part(making, operation, operation->offset, operation->offset + operation->size); break;
    case OPERATION_TRUNCATE: bytes_resize(content_of(making, operation->file), (size_t)operation->offset, 0); break;
    case OPERATION_SYNC:
    case OPERATION_SYNC_FOLDER:
    case OPERATION_DROP: break;
    }
}

static void apply_torn(struct making *making, const struct operation *operation)
{
    if (operation->kind == OPERATION_WRITE)
        write_torn(making, operation);
    else if (crash_random_below(making->random, 2) == 0)
        apply_whole(making, operation);
}

static void apply_sectors(struct making *making, const struct operation *operation)
{
    if (operation->kind == OPERATION_WRITE)
        write_some_sectors(making, operation);
    else if (crash_random_below(making->random, 2) == 0)
        apply_whole(making, operation);
}

/* The pending operation n, and behind the last the one in flight. */
static const struct operation *pending_at(const struct crash_disk *disk, const struct operation *in_flight, size_t n)
{
    return n < disk->pending.count ? disk->pending.list[n] : in_flight;
}

static void apply_pending(struct making *making, enum crash_damage damage, const struct operation *in_flight)
{
    const struct crash_disk *disk = making->disk;
    const size_t count = disk->pending.count + (in_flight != NULL ? 1 : 0);
    const size_t prefix = (size_t)crash_random_below(making->random, count + 1);
    const uint64_t chance = 1 + crash_random_below(making->random, 9);

    for (size_t i = 0; i < count; i++) {
        const struct operation *operation = pending_at(disk, in_flight, i);
        switch (damage) {
        case CRASH_ALL_LOST:
        case CRASH_DAMAGES: break;
        case CRASH_ALL_KEPT:
            if (i < disk->pending.count)
                apply_whole(making, operation);
            else
                apply_torn(making, operation);
            break;
        case CRASH_SECTORS: apply_sectors(making, operation); break;
        case CRASH_TORN:
            if (i < prefix)
                apply_whole(making, operation);
            else if (i == prefix)
                apply_torn(making, operation);
            break;
        case CRASH_REORDERED:
            if (crash_random_below(making->random, 10) < chance)
                apply_whole(making, operation);
            break;
        }
    }
}

static void image_add(struct crash_image *image, const char *name, const struct bytes *content)
{
    struct crash_image_file *file = &image->files[image->count];

    if (image->count == CRASH_FILES_MAX)
        abort();
    image->count++;
    snprintf(file->name, sizeof file->name, "%s", name);
    if (content->size > file->room) {
        file->room = content->size;
        file->bytes = disk_allocate(file->bytes, file->room);
    }
    file->size = content->size;
    if (content->size > 0)
        memcpy(file->bytes, content->data, content->size);
}

static void make_image(struct crash_disk *disk, enum crash_damage damage, const struct operation *in_flight,
                       uint64_t *random, struct crash_image *out)
{
    struct making making = {.disk = disk, .random = random, .image = out};

    if (disk->file_count > sizeof making.linked / sizeof making.linked[0])
        abort();
    for (size_t i = 0; i < disk->file_count; i++)
        making.linked[i] = disk->files[i]->durable_linked;
    apply_pending(&making, damage, in_flight);
    out->count = 0;
    for (size_t i = 0; i < disk->file_count; i++) {
        if (making.linked[i])
            image_add(out, disk->files[i]->name, making.changed[i] ? &making.content[i] : &disk->files[i]->durable);
        free(making.content[i].data);
    }
}

void crash_disk_image(struct crash_disk *disk, enum crash_damage damage, uint64_t *random, struct crash_image *out)
{
    make_image(disk, damage, disk->in_flight, random, out);
}

const char *crash_damage_name(enum crash_damage damage)
{
    static const char *const names[CRASH_DAMAGES] = {"all lost", "all kept", "sectors", "torn", "reordered"};
    return names[damage];
}

void crash_image_fini(struct crash_image *image)
{
    for (size_t i = 0; i < CRASH_FILES_MAX; i++)
        free(image->files[i].bytes);
    memset(image, 0, sizeof *image);
}

uint64_t crash_image_hash(const struct crash_image *image)
{
    uint64_t hash = image->count;

    for (size_t i = 0; i < image->count; i++) {
        const struct crash_image_file *file = &image->files[i];
        uint64_t word = 0;
        hash = (hash ^ file->size) * 0x9E3779B97F4A7C15U;
        for (size_t at = 0; at + sizeof word <= file->size; at += sizeof word) {
            memcpy(&word, file->bytes + at, sizeof word);
            hash = (hash ^ word) * 0x9E3779B97F4A7C15U;
            hash ^= hash >> 29;
        }
        for (size_t at = file->size / sizeof word * sizeof word; at < file->size; at++)
            hash = (hash ^ file->bytes[at]) * 0x9E3779B97F4A7C15U;
    }
    return hash;
}

struct crash_image_file *crash_image_find(struct crash_image *image, const char *name)
{
    for (size_t i = 0; i < image->count; i++)
        if (strcmp(image->files[i].name, name) == 0)
            return &image->files[i];
    return NULL;
}

/* --- Replays --------------------------------------------------------------------------------------- */

struct crash_replay {
    struct crash_disk disk; /* only its durable layer and what is pending */
    const struct crash_disk *from;
};

struct crash_replay *crash_replay_new(struct crash_disk *disk)
{
    struct crash_replay *replay = disk_allocate(NULL, sizeof *replay);

    memset(replay, 0, sizeof *replay);
    replay->from = disk;
    replay->disk.options = disk->options;
    return replay;
}

void crash_replay_free(struct crash_replay *replay)
{
    operations_clear(&replay->disk.pending);
    remove_files(&replay->disk);
    free(replay->disk.pending.list);
    free(replay->disk.files);
    free(replay);
}

bool crash_replay_step(struct crash_replay *replay)
{
    struct crash_disk *disk = &replay->disk;

    if (disk->count == replay->from->recorded.count)
        return false;
    struct operation *operation = replay->from->recorded.list[disk->count++];
    while (disk->file_count <= operation->file)
        disk_add_file(disk, replay->from->files[disk->file_count]->name);
    const bool is_sync = operation->kind == OPERATION_SYNC || operation->kind == OPERATION_SYNC_FOLDER;
    if (!is_sync || !disk->options.swallows_syncs)
        apply_below(disk, operation);
    return true;
}

size_t crash_replay_done(const struct crash_replay *replay)
{
    return replay->disk.count;
}

void crash_replay_image(struct crash_replay *replay, enum crash_damage damage, uint64_t *random,
                        struct crash_image *out)
{
    struct crash_disk *disk = &replay->disk;
    const bool more = disk->count < replay->from->recorded.count;
    const struct operation *next = more ? replay->from->recorded.list[disk->count] : NULL;

    while (next != NULL && disk->file_count <= next->file)
        disk_add_file(disk, replay->from->files[disk->file_count]->name);
    make_image(disk, damage, next, random, out);
}
