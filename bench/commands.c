/*
 * What remembering a command costs (the ledger), and that an append without
 * one pays nothing for it.
 *
 * One durable event a call. "Other" is bare SQLite (bare.h) writing the same
 * rows in one transaction: the event, and in the case with a command also a
 * row of the table `command` behind a look-up of its id; or our own append
 * without a command.
 */
#include "bench/bare.h"
#include "bench/readings.h"

#include <stdlib.h>
#include <string.h>

enum { APPENDS = 2000, STREAMS = BARE_STREAMS, DIGEST = 16 };

#define TAKE_READING(FIELD, T) FIELD(T, INT64, serial)
STELE_DECLARE(take_reading, TAKE_READING);
STELE_DEFINE_COMMAND(take_reading, "bench.reading.take", 1, TAKE_READING);

struct subject {
    stele_store *plain;  /* is sent no commands */
    stele_store *ledger; /* is sent nothing else */
    struct bare *bare;   /* as `plain` */
    struct bare *bare_ledger;
    sqlite3_stmt *look_up, *remember;
    int64_t serial;
};

static stele_message *new_command(int64_t serial)
{
    const struct take_reading payload = {.serial = serial};
    stele_message *message = NULL;
    stele_error *error = NULL;

    bench_must(take_reading_message(&payload, NULL, &message, &error), error, "new command");
    return message;
}

static void append_one(stele_store *store, unsigned i, const stele_message *event, const stele_message *command)
{
    char name[32];
    const struct stele_write write = {name, event};
    const struct stele_batch batch = {.writes = &write, .write_count = 1, .command = command};
    stele_error *error = NULL;

    stream_name(i % STREAMS, name);
    bench_must(stele_append_batch(store, &batch, NULL, &error), error, "append");
}

static void bind_command(const struct bare *bare, sqlite3_stmt *remember, const struct stele_uuid *id, int64_t time)
{
    static const char digest[DIGEST] = "sixteen bytes...";

    sqlite3_bind_blob(remember, 1, id->bytes, sizeof(id->bytes), SQLITE_STATIC);
    sqlite3_bind_blob(remember, 2, digest, DIGEST, SQLITE_STATIC);
    sqlite3_bind_int64(remember, 3, time);
    sqlite3_bind_int64(remember, 4, bare->position);
    sqlite3_bind_int64(remember, 5, 1);
}

static void insert_one(const struct subject *subject, unsigned i, const stele_message *event,
                       const stele_message *command)
{
    struct bare *bare = command ? subject->bare_ledger : subject->bare;
    struct stele_uuid id;

    bare_step(bare, bare->begin);
    if (command) {
        stele_message_uuid(command, &id);
        sqlite3_bind_blob(subject->look_up, 1, id.bytes, sizeof(id.bytes), SQLITE_STATIC);
        bare_step(bare, subject->look_up);
    }
    bare_insert(bare, i % STREAMS, event);
    if (command) {
        bind_command(bare, subject->remember, &id, stele_message_time(event));
        bare_step(bare, subject->remember);
    }
    bare_step(bare, bare->commit);
}

/* Events a second; to `store`, or to bare SQLite if that is NULL. */
static double append_all(struct subject *subject, stele_store *store, bool commanded)
{
    const double start = bench_seconds();

    for (unsigned i = 0; i < APPENDS; i++) {
        stele_message *event = new_reading(subject->serial++);
        stele_message *command = commanded ? new_command(subject->serial) : NULL;

        if (store)
            append_one(store, i, event, command);
        else
            insert_one(subject, i, event, command);
        stele_message_unref(command);
        stele_message_unref(event);
    }
    return APPENDS / (bench_seconds() - start);
}

static double with_command(void *context)
{
    struct subject *subject = context;

    return append_all(subject, subject->ledger, true);
}

static double without_command(void *context)
{
    struct subject *subject = context;

    return append_all(subject, subject->plain, false);
}

static double bare_with_command(void *context)
{
    return append_all(context, NULL, true);
}

static double bare_without_command(void *context)
{
    return append_all(context, NULL, false);
}

static sqlite3_stmt *prepare(const struct bare *bare, const char *sql)
{
    sqlite3_stmt *statement = NULL;

    if (sqlite3_prepare_v2(bare->database, sql, -1, &statement, NULL) != SQLITE_OK)
        bench_must(STELE_INVALID, NULL, sql);
    return statement;
}

static void run_cases(struct bench *bench, struct subject *subject)
{
    /* All logs at full length, all files with every stream in them. */
    with_command(subject);
    without_command(subject);
    bare_with_command(subject);
    bare_without_command(subject);
    bench_run(
        bench,
        &(struct bench_case){
            "append_without_command", "events/s", without_command, bare_without_command, subject, {.at_least = 0.90}});
    bench_run(bench,
              &(struct bench_case){
                  "append_with_command", "events/s", with_command, bare_with_command, subject, {.at_least = 0.90}});
    bench_run(
        bench,
        &(struct bench_case){
            "append_with_or_without_command", "events/s", with_command, without_command, subject, {.at_least = 0}});
}

int main(int argc, char **argv)
{
    struct bench bench;
    struct subject subject = {0};
    char *paths[4];

    bench_open(&bench, argc, argv, "Measure appends with a command beside appends without.");
    paths[0] = path_of(&bench, "plain");
    paths[1] = path_of(&bench, "ledger");
    paths[2] = path_of(&bench, "bare");
    paths[3] = path_of(&bench, "bare-ledger");
    subject.plain = open_store(paths[0]);
    subject.ledger = open_store(paths[1]);
    subject.bare = bare_open(paths[2]);
    subject.bare_ledger = bare_open(paths[3]);
    subject.look_up = prepare(subject.bare_ledger, "SELECT number, id, digest, time, first, last, version, created,"
                                                   " rejection, checksum FROM command WHERE id = ?1");
    subject.remember = prepare(subject.bare_ledger, "INSERT INTO command (id, digest, time, first, last, version,"
                                                    " created, rejection, checksum)"
                                                    " VALUES (?1, ?2, ?3, ?4, ?4, ?5, 0, NULL, 1)");
    run_cases(&bench, &subject);
    stele_store_close(subject.plain);
    stele_store_close(subject.ledger);
    sqlite3_finalize(subject.look_up);
    sqlite3_finalize(subject.remember);
    bare_close(subject.bare);
    bare_close(subject.bare_ledger);
    for (unsigned i = 0; i < 4; i++)
        remove_store(paths[i]);
    bench_close(&bench);
    return EXIT_SUCCESS;
}
