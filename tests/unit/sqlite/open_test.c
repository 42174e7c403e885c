/* Opening: what is refused, with which words, and what an open store looks like from outside. */
#include "tests/unit/sqlite/fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* Opening for everything is refused with a status and a word of the message, and the path is named. */
static void assert_refused(stele_status expected, const char *word)
{
    stele_store *store = NULL;
    stele_error *error = NULL;

    assert_failure(expected, fixture_try(STELE_OPEN_CREATE, NULL, &store, &error), error);
    assert_message(error, word);
    assert_non_null(stele_error_get(error, "path"));
    assert_null(store);
    stele_error_free(error);
}

/* --- Files that are no store --------------------------------------------------------- */

static void D9_a_missing_file_is_created_only_if_asked(void **state)
{
    stele_store *store = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_NOT_FOUND, fixture_try(STELE_OPEN_EXISTING, NULL, &store, &error), error);
    assert_message(error, "ledger.db");
    stele_error_free(error);
    error = NULL;
    assert_status(STELE_NOT_FOUND, fixture_try(STELE_OPEN_READ_ONLY, NULL, &store, &error), error);
    assert_int_equal(fixture_files(), 0);
}

static void D9_a_missing_folder_is_not_found(void **state)
{
    stele_store *store = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_NOT_FOUND, stele_store_open(support_temp_path("nowhere/ledger.db"), NULL, &store, &error),
                   error);
    assert_message(error, "nowhere");
    stele_error_free(error);
}

static void D9_a_directory_is_named_as_one(void **state)
{
    (void)state;
    assert_int_equal(mkdir(fixture_path(), 0700), 0);
    assert_refused(STELE_INVALID, "is a directory");
}

static void D9_a_fifo_is_refused_without_waiting_for_its_writer(void **state)
{
    (void)state;
    assert_int_equal(mkfifo(fixture_path(), 0600), 0);
    assert_refused(STELE_INVALID, "is a FIFO");
}

static void D9_a_device_is_refused(void **state)
{
    stele_store *store = NULL;
    stele_error *error = NULL;

    (void)state;
    assert_failure(STELE_INVALID, stele_store_open("/dev/null", NULL, &store, &error), error);
    assert_message(error, "is a device");
    stele_error_free(error);
}

static void D9_a_second_hard_link_is_refused(void **state)
{
    (void)state;
    fixture_make(1);
    assert_int_equal(link(fixture_path(), support_temp_path("other.db")), 0);
    assert_refused(STELE_INVALID, "2 names");
    assert_int_equal(unlink(support_temp_path("other.db")), 0);
    stele_store_close(fixture_open());
}

static void D9_a_symbolic_link_leads_to_the_one_store(void **state)
{
    stele_store *store = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_make(2);
    assert_int_equal(symlink(fixture_path(), support_temp_path("link.db")), 0);
    assert_ok(stele_store_open(support_temp_path("link.db"), NULL, &store, &error), error);
    assert_string_equal(fixture_inside(store)->path, fixture_path());
    fixture_fill(store, 3, 3);
    assert_true(fixture_is_there(fixture_log()));
    stele_store_close(store);
}

static void D9_a_link_to_nowhere_is_not_found(void **state)
{
    (void)state;
    assert_int_equal(symlink("/nowhere/at/all", fixture_path()), 0);
    assert_refused(STELE_NOT_FOUND, "symbolic link");
}

static void D9_an_empty_file_is_foreign(void **state)
{
    (void)state;
    fixture_save(fixture_path(), "", 0);
    assert_refused(STELE_FOREIGN, "empty");
    assert_int_equal(fixture_size(fixture_path()), 0);
}

static void D9_a_text_is_foreign_and_stays_as_it_is(void **state)
{
    static const char text[] = "dear diary,\ntoday nothing happened\n";
    unsigned char *bytes;
    size_t size;

    (void)state;
    fixture_save(fixture_path(), text, sizeof(text));
    assert_refused(STELE_FOREIGN, "not a stele store");
    bytes = fixture_load(fixture_path(), &size);
    assert_int_equal(size, sizeof(text));
    assert_memory_equal(bytes, text, size);
    free(bytes);
}

static void D9_a_megabyte_of_noise_is_foreign(void **state)
{
    enum { SIZE = 1 << 20 };
    struct support_random random = support_seed();
    unsigned char *bytes = malloc(SIZE);

    (void)state;
    assert_non_null(bytes);
    support_random_bytes(&random, bytes, SIZE);
    fixture_save(fixture_path(), bytes, SIZE);
    free(bytes);
    assert_refused(STELE_FOREIGN, "not a stele store");
}

static void D9_another_programs_database_is_foreign(void **state)
{
    (void)state;
    assert_int_equal(fixture_sql("CREATE TABLE note(text)"), SQLITE_OK);
    assert_refused(STELE_FOREIGN, "another program's");
    assert_int_equal(fixture_sql_number("SELECT count(*) FROM sqlite_schema"), 1);
}

/* A database that another program left with commits in its log. */
static void make_foreign_with_log(void)
{
    sqlite3 *db = NULL;

    assert_int_equal(sqlite3_open(fixture_path(), &db), SQLITE_OK);
    assert_int_equal(sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA journal_mode = WAL; CREATE TABLE note(text)", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_true(fixture_size(fixture_log()) > 0);
}

static void D9_the_log_of_another_programs_database_stays_as_it_is(void **state)
{
    size_t size = 0, size_after = 0, log_size = 0, log_size_after = 0;
    unsigned char *bytes, *bytes_after, *log, *log_after;

    (void)state;
    make_foreign_with_log();
    bytes = fixture_load(fixture_path(), &size);
    log = fixture_load(fixture_log(), &log_size);
    assert_refused(STELE_FOREIGN, "another program's");
    bytes_after = fixture_load(fixture_path(), &size_after);
    log_after = fixture_load(fixture_log(), &log_size_after);
    assert_int_equal(size_after, size);
    assert_memory_equal(bytes_after, bytes, size);
    assert_int_equal(log_size_after, log_size);
    assert_memory_equal(log_after, log, log_size);
    free(bytes);
    free(bytes_after);
    free(log);
    free(log_after);
}

static void D9_a_newer_version_is_refused_with_both_numbers(void **state)
{
    (void)state;
    fixture_make(1);
    assert_int_equal(fixture_sql("PRAGMA user_version = 7"), SQLITE_OK);
    assert_refused(STELE_TOO_NEW, "its format is 7, this library knows up to 4");
}

static void D9_a_version_of_zero_is_foreign(void **state)
{
    (void)state;
    fixture_make(1);
    assert_int_equal(fixture_sql("PRAGMA user_version = 0"), SQLITE_OK);
    assert_refused(STELE_FOREIGN, "user_version");
}

/* --- Schemas with something else in them ------------------------------------------------ */

static void assert_change_is_refused(const char *sql, const char *word)
{
    fixture_make(1);
    assert_int_equal(fixture_sql(sql), SQLITE_OK);
    assert_refused(STELE_FOREIGN, word);
    support_temp_dir_remove();
}

static void D9_anything_added_to_the_schema_is_foreign_and_named(void **state)
{
    (void)state;
    assert_change_is_refused("CREATE TRIGGER evil AFTER INSERT ON event BEGIN SELECT 1; END", "evil");
    assert_change_is_refused("CREATE VIEW peek AS SELECT * FROM event", "peek");
    assert_change_is_refused("CREATE INDEX slow ON event(time)", "slow");
}

static void assert_is_accepted(const char *sql)
{
    stele_store *store;

    fixture_make(2);
    assert_int_equal(fixture_sql(sql), SQLITE_OK);
    store = fixture_open();
    fixture_fill(store, 3, 3);
    fixture_assert_holds(store, 3);
    stele_store_close(store);
    stele_store_close(fixture_open_with(STELE_OPEN_READ_ONLY, NULL));
    support_temp_dir_remove();
}

static void D9_plain_tables_of_views_are_no_strangers(void **state)
{
    static const char *const plain[] = {
        "CREATE TABLE balance(account TEXT NOT NULL PRIMARY KEY, amount INTEGER NOT NULL DEFAULT 0) STRICT",
        "CREATE TABLE \"some day's\"([a] VARCHAR(10), `b as c` DECIMAL(10, 2), UNIQUE([a], `b as c`)); "
        "CREATE INDEX \"x.y\" ON \"some day's\"(a COLLATE NOCASE DESC)",
        "CREATE TABLE a(x CHECK (x > 0 AND (x IN (1, 2) OR NOT (x = 3)))) -- abs(x)",
        "CREATE TABLE a(x /* AS */ DEFAULT (1 + (2)), y DEFAULT 'f(g(h(AS)))', z DEFAULT CURRENT_TIMESTAMP)",
        "CREATE TABLE a(x PRIMARY KEY, y REFERENCES a(x)); CREATE UNIQUE INDEX b ON a(y) WHERE y > 1",
        "CREATE TABLE a(x); CREATE TABLE b AS SELECT x FROM a; CREATE TABLE stele_projection(name TEXT)",
    };

    (void)state;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        assert_is_accepted(plain[i]);
}

static void D9_tables_that_compute_or_have_our_names_are_foreign(void **state)
{
    static const struct {
        const char *sql, *word;
    } refused[] = {
        {"CREATE TABLE a(x, y AS (x + 1))", "a, which computes a column"},
        {"CREATE TABLE a(x, y GENERATED ALWAYS AS (x) STORED)", "computes a column"},
        {"CREATE TABLE a(x CHECK (abs(x) > 1))", "calls a function"},
        {"CREATE TABLE a(x, CHECK (x > 1 AND \"abs\" (x) > 1))", "calls a function"},
        {"CREATE TABLE a(x DEFAULT (random()))", "calls a function"},
        {"CREATE TABLE a(x); CREATE INDEX b ON a(abs(x))", "b, which is of expressions"},
        {"CREATE TABLE a(x); CREATE INDEX b ON a(x) WHERE abs(x) > 1", "is of expressions"},
        {"CREATE VIRTUAL TABLE a USING fts5(x)", "no ordinary table"},
        {"CREATE TABLE stele_new(x)", "stele_new, which has a name of the store's own"},
        {"CREATE TABLE Stele_Projection(x)", "name of the store's own"},
        {"CREATE TABLE events(x)", "name of the store's own"},
        {"CREATE TABLE a(x INTEGER PRIMARY KEY AUTOINCREMENT)", "sqlite_sequence"},
        {"CREATE TABLE a(x); CREATE TRIGGER b AFTER INSERT ON a BEGIN SELECT 1; END", "b, which is no table"},
        {"CREATE TABLE a(x); CREATE VIEW b AS SELECT x FROM a", "b, which is no table"},
        {"CREATE INDEX b ON stele_view(version)", "name of the store's own"},
        {"ANALYZE", "sqlite_stat"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        assert_change_is_refused(refused[i].sql, refused[i].word);
}

/* Texts that no statement of SQL leaves in the schema. */
static void D9_rows_of_the_schema_that_say_one_thing_and_are_another_are_refused(void **state)
{
#define FORGED(type_, name_, sql_) \
    "PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT '" type_ "', '" name_ "', '" name_ \
    "', rootpage, '" sql_ "' FROM sqlite_schema WHERE name = 'event'"
    static const char *const forged[] = {
        FORGED("table", "a", "CREATE/**/VIRTUAL TABLE a USING fts5(x)"),
        FORGED("table", "a", "CREATE/*a*/ virtual/**/TABLE a USING fts5(x)"),
        FORGED("table", "a", "CREATE TRIGGER a AFTER INSERT ON stream BEGIN DELETE FROM snapshot; END"),
        FORGED("table", "a", "CREATE TABLE event(x)"),
        FORGED("table", "a", "CREATE TABLE a(x, y A/**/S (x))"),
        FORGED("index", "a", "CREATE TRIGGER a AFTER INSERT ON stream BEGIN DELETE FROM snapshot; END"),
        FORGED("table", "a", "CREATE VIEW a AS SELECT 1"),
        FORGED("table", "a", ""),
    };
#undef FORGED

    (void)state;
    for (size_t i = 0; i < sizeof(forged) / sizeof(forged[0]); i++) {
        stele_store *store = NULL;
        stele_status status;

        fixture_make(1);
        assert_int_equal(fixture_sql(forged[i]), SQLITE_OK);
        status = fixture_try(STELE_OPEN_EXISTING, NULL, &store, NULL);
        if (status != STELE_FOREIGN && status != STELE_CORRUPT)
            fail_msg("%s: %s", forged[i], stele_status_name(status));
        support_temp_dir_remove();
    }
}

static void D9_files_of_the_formats_before_have_no_further_tables(void **state)
{
    static const char *const names[] = {"version-1.db", "version-2.db", "version-3.db"};

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        fixture_place(names[i]);
        assert_int_equal(fixture_sql("CREATE TABLE balance(amount)"), SQLITE_OK);
        assert_refused(STELE_FOREIGN, "something else in it: balance");
        support_temp_dir_remove();
    }
}

static void a_file_of_format_3_is_brought_up_with_its_checkpoint(void **state)
{
    stele_store *store;
    uint64_t position = 0;
    stele_error *error = NULL;

    (void)state;
    fixture_place("version-3.db");
    assert_int_equal(fixture_sql_number("PRAGMA user_version"), 3);
    store = fixture_open_with(STELE_OPEN_READ_ONLY, NULL);
    assert_ok(stele_checkpoint_read(store, "mailer", &position, &error), error);
    assert_int_equal(position, 4);
    stele_store_close(store);
    assert_int_equal(fixture_sql_number("PRAGMA user_version"), 3);
    store = fixture_open();
    assert_ok(stele_checkpoint_read(store, "mailer", &position, &error), error);
    assert_int_equal(position, 4);
    assert_ok(stele_verify(store, NULL, NULL, &error), error);
    stele_store_close(store);
    assert_int_equal(fixture_sql_number("PRAGMA user_version"), 4);
}

static void D9_anything_taken_from_the_schema_is_foreign(void **state)
{
    (void)state;
    assert_change_is_refused("DROP TRIGGER event_refuses_update", "missing");
    assert_change_is_refused("DROP TRIGGER event_refuses_update; CREATE TRIGGER event_refuses_update "
                             "BEFORE UPDATE ON event BEGIN SELECT 1; END",
                             "event_refuses_update");
    assert_change_is_refused("ALTER TABLE event ADD COLUMN more ANY", "was changed: event");
}

static void D9_a_store_out_of_wal_mode_is_foreign(void **state)
{
    (void)state;
    fixture_make(1);
    assert_int_equal(fixture_sql("PRAGMA journal_mode = DELETE"), SQLITE_OK);
    assert_refused(STELE_FOREIGN, "WAL");
}

static void D9_a_rollback_journal_beside_it_is_refused_and_not_played_back(void **state)
{
    unsigned char *before;
    unsigned char *after;
    size_t size;
    size_t size_after;
    char journal[4200];

    (void)state;
    fixture_make(3);
    before = fixture_load(fixture_path(), &size);
    snprintf(journal, sizeof(journal), "%s-journal", fixture_path());
    fixture_save(journal, "\xd9\xd5\x05\xf9\x20\xa1\x63\xd7 and so on", 18);
    assert_refused(STELE_CORRUPT, "rollback journal");
    after = fixture_load(fixture_path(), &size_after);
    assert_int_equal(size, size_after);
    assert_memory_equal(before, after, size);
    free(before);
    free(after);
}

static void D9_the_files_beside_it_are_files(void **state)
{
    stele_store *store = NULL;
    stele_error *error = NULL;

    (void)state;
    fixture_make(1);
    assert_int_equal(mkfifo(fixture_log(), 0600), 0);
    assert_refused(STELE_INVALID, "ledger.db-wal beside it is a FIFO");
    assert_status(STELE_INVALID, fixture_try(STELE_OPEN_READ_ONLY, NULL, &store, &error), error);
    assert_int_equal(unlink(fixture_log()), 0);
    assert_int_equal(symlink(fixture_path(), fixture_log()), 0);
    assert_refused(STELE_INVALID, "ledger.db-wal beside it is no regular file");
    assert_int_equal(unlink(fixture_log()), 0);
    assert_int_equal(mkdir(support_temp_path("ledger.db-shm"), 0700), 0);
    assert_refused(STELE_INVALID, "ledger.db-shm beside it is a directory");
    assert_int_equal(rmdir(support_temp_path("ledger.db-shm")), 0);
    stele_store_close(fixture_open());
}

static void a_file_cut_at_any_length_is_foreign_or_corrupt(void **state)
{
    unsigned char *bytes;
    size_t size;
    stele_error *error = NULL;

    (void)state;
    fixture_make(40);
    bytes = fixture_load(fixture_path(), &size);
    for (size_t length = 0; length < size; length += length < 600 ? 37 : 1531) {
        stele_store *store = NULL;
        stele_status status;

        fixture_save(fixture_path(), bytes, length);
        status = fixture_try(STELE_OPEN_CREATE, NULL, &store, &error);
        if (status != STELE_FOREIGN && status != STELE_CORRUPT)
            fail_msg("cut at %zu: %s, %s", length, stele_status_name(status), stele_error_message(error));
        stele_error_free(error);
        error = NULL;
        stele_store_close(store);
    }
    free(bytes);
}

/* --- Rights --------------------------------------------------------------------------------- */

/* Run `body` as somebody without rights, in a child; true if it returned true. */
static bool as_nobody(bool (*body)(void))
{
    const pid_t child = fork();
    int status = 0;

    if (child == 0) {
        if (getuid() == 0 && (setegid(65534) != 0 || seteuid(65534) != 0))
            _exit(2);
        _exit(body() ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* What opening gives, with a word of its message. */
static bool gives(enum stele_open_mode mode, stele_status expected, const char *word)
{
    stele_store *store = NULL;
    stele_error *error = NULL;
    const stele_status status = fixture_try(mode, NULL, &store, &error);
    const bool right = status == expected && (!word || strstr(stele_error_message(error), word));

    if (!right)
        fprintf(stderr, "%s: %s\n", stele_status_name(status), stele_error_message(error));
    stele_error_free(error);
    stele_store_close(store);
    return right;
}

static bool is_denied(void)
{
    return gives(STELE_OPEN_CREATE, STELE_DENIED, "ledger.db") &&
           gives(STELE_OPEN_READ_ONLY, STELE_DENIED, "ledger.db");
}

static bool is_read_only(void)
{
    return gives(STELE_OPEN_EXISTING, STELE_READ_ONLY, "reading only");
}

static bool is_kept_out(void)
{
    return gives(STELE_OPEN_CREATE, STELE_DENIED, "ledger.db-wal beside it cannot be written") &&
           gives(STELE_OPEN_READ_ONLY, STELE_OK, NULL);
}

static bool cannot_make_log(void)
{
    return gives(STELE_OPEN_READ_ONLY, STELE_READ_ONLY, "folder");
}

static bool cannot_create(void)
{
    return gives(STELE_OPEN_CREATE, STELE_DENIED, "create");
}

static void D9_an_unreadable_file_is_denied(void **state)
{
    (void)state;
    fixture_make(1);
    assert_int_equal(chmod(support_temp_dir(), 0777), 0);
    assert_int_equal(chmod(fixture_path(), 0), 0);
    assert_true(as_nobody(is_denied));
}

static void D9_a_file_without_write_permission_is_read_only(void **state)
{
    (void)state;
    fixture_make(1);
    assert_int_equal(chmod(support_temp_dir(), 0777), 0);
    assert_int_equal(chmod(fixture_path(), 0444), 0);
    assert_true(as_nobody(is_read_only));
}

static void D9_a_log_that_another_user_has_left_is_said_to_be_the_reason(void **state)
{
    (void)state;
    fixture_make(1);
    assert_int_equal(chmod(support_temp_dir(), 0777), 0);
    assert_int_equal(chmod(fixture_path(), 0666), 0);
    fixture_save(fixture_log(), "", 0);
    assert_int_equal(chmod(fixture_log(), 0444), 0);
    assert_true(as_nobody(is_kept_out));
}

static void D9_a_read_only_folder_is_said_to_be_the_reason(void **state)
{
    (void)state;
    fixture_make(1);
    assert_int_equal(chmod(support_temp_dir(), 0555), 0);
    assert_int_equal(chmod(fixture_path(), 0444), 0);
    assert_true(as_nobody(cannot_make_log));
    assert_int_equal(unlink(fixture_path()), 0);
    assert_true(as_nobody(cannot_create));
    assert_int_equal(chmod(support_temp_dir(), 0700), 0);
}

static void D9_a_read_only_folder_is_the_reason_beside_a_log_too(void **state)
{
    stele_store *store = fixture_open();
    unsigned char *log;
    size_t size;

    (void)state;
    fixture_fill(store, 1, 3);
    log = fixture_load(fixture_log(), &size);
    stele_store_close(store);
    fixture_save(fixture_log(), log, size);
    free(log);
    assert_int_equal(chmod(support_temp_dir(), 0555), 0);
    assert_int_equal(chmod(fixture_path(), 0444), 0);
    assert_int_equal(chmod(fixture_log(), 0444), 0);
    assert_true(as_nobody(cannot_make_log));
    assert_int_equal(chmod(support_temp_dir(), 0700), 0);
}

static void having_no_descriptor_left_is_said_to_be_the_reason(void **state)
{
    struct rlimit before;
    struct rlimit none;
    bool right;

    (void)state;
    fixture_make(1);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = before;
    none.rlim_cur = 0;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    right = gives(STELE_OPEN_READ_ONLY, STELE_IO, strerror(EMFILE));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_true(right);
}

static void a_store_opened_for_reading_reads_and_leaves_no_trace(void **state)
{
    unsigned char *before;
    unsigned char *after;
    size_t size;
    size_t size_after;
    stele_store *store;

    (void)state;
    fixture_make(5);
    before = fixture_load(fixture_path(), &size);
    store = fixture_open_with(STELE_OPEN_READ_ONLY, NULL);
    fixture_assert_holds(store, 5);
    stele_store_close(store);
    after = fixture_load(fixture_path(), &size_after);
    assert_int_equal(size, size_after);
    assert_memory_equal(before, after, size);
    assert_int_equal(fixture_files(), 1);
    free(before);
    free(after);
}

static void a_reader_sees_what_a_living_writer_commits(void **state)
{
    stele_store *writer;
    stele_store *reader;

    (void)state;
    fixture_make(2);
    writer = fixture_open();
    fixture_fill(writer, 3, 4);
    reader = fixture_open_with(STELE_OPEN_READ_ONLY, NULL);
    fixture_assert_holds(reader, 4);
    fixture_fill(writer, 5, 6);
    fixture_assert_holds(reader, 6);
    stele_store_close(reader);
    fixture_fill(writer, 7, 7);
    stele_store_close(writer);
    assert_int_equal(fixture_files(), 1);
}

/* --- Parameters -------------------------------------------------------------------------------- */

static void malformed_and_unknown_parameters_are_named(void **state)
{
    static const char *const wrong[][2] = {
        {"sync=maybe", "sync"}, {"busy=-1", "busy"},   {"busy=99999999999", "busy"},
        {"mmap=1k", "mmap"},    {"vfs=nosuch", "vfs"}, {"accept=everything", "accept"},
        {"speed=9", "speed"},   {"sync=", "sync"},     {"idle=soon", "idle"},
    };
    stele_store *store = NULL;
    stele_error *error = NULL;

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_failure(STELE_INVALID, fixture_try(STELE_OPEN_CREATE, wrong[i][0], &store, &error), error);
        assert_string_equal(stele_error_get(error, "argument"), wrong[i][1]);
        stele_error_free(error);
        error = NULL;
    }
    assert_int_equal(fixture_files(), 0);
}

static int64_t pragma(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *row = NULL;
    int64_t value;

    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &row, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(row), SQLITE_ROW);
    value = sqlite3_column_int64(row, 0);
    sqlite3_finalize(row);
    return value;
}

static void parameters_reach_every_connection(void **state)
{
    static const struct {
        const char *parameters;
        int64_t synchronous, mmap;
    } cases[] = {{NULL, 2, 0}, {"sync=full", 2, 0}, {"sync=normal&mmap=65536", 1, 65536}, {"sync=off", 0, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        stele_store *store = fixture_open_with(STELE_OPEN_CREATE, cases[i].parameters);
        struct sqlite_store *inside = fixture_inside(store);
        const struct sqlite_connection *all[] = {inside->writer.connection, inside->checkpointer, inside->pool};

        for (size_t j = 0; j < sizeof(all) / sizeof(all[0]); j++) {
            assert_non_null(all[j]);
            assert_int_equal(pragma(all[j]->db, "PRAGMA synchronous"), cases[i].synchronous);
            assert_int_equal(pragma(all[j]->db, "PRAGMA mmap_size"), cases[i].mmap);
        }
        stele_store_close(store);
    }
}

static void D2_D9_D10_connections_are_defensive(void **state)
{
    stele_store *store = fixture_open();
    struct sqlite_store *inside = fixture_inside(store);
    const struct sqlite_connection *all[] = {inside->writer.connection, inside->checkpointer, inside->pool};

    (void)state;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        int defensive = 0;
        int trusted = 1;

        assert_int_equal(pragma(all[i]->db, "PRAGMA wal_autocheckpoint"), 0);
        assert_int_equal(pragma(all[i]->db, "PRAGMA mmap_size"), 0);
        assert_int_equal(pragma(all[i]->db, "PRAGMA cell_size_check"), 1);
        sqlite3_db_config(all[i]->db, SQLITE_DBCONFIG_DEFENSIVE, -1, &defensive);
        sqlite3_db_config(all[i]->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, -1, &trusted);
        assert_int_equal(defensive, 1);
        assert_int_equal(trusted, 0);
        assert_int_equal(sqlite3_limit(all[i]->db, SQLITE_LIMIT_ATTACHED, -1), 0);
        assert_int_not_equal(sqlite3_exec(all[i]->db, "ATTACH ':memory:' AS other", NULL, NULL, NULL), SQLITE_OK);
    }
    stele_store_close(store);
}

/* --- Descriptors ------------------------------------------------------------------------------- */

/* Closing any descriptor of the database that is not SQLite's would drop SQLite's locks. */
static void D7_locks_survive_another_opening_in_this_process(void **state)
{
    stele_store *store = fixture_open_with(STELE_OPEN_CREATE, "busy=0");
    struct sqlite_store *inside = fixture_inside(store);
    stele_store *second;
    stele_error *error = NULL;
    pid_t child;
    int status = 0;

    (void)state;
    fixture_fill(store, 1, 3);
    assert_int_equal(stele__sqlite_run(inside->writer.connection, STATEMENT_BEGIN), SQLITE_OK);
    /* Everything that looks at the file: opening, scanning its log, counting, checking. */
    second = fixture_open_with(STELE_OPEN_EXISTING, "busy=0");
    assert_ok(stele_verify(second, NULL, NULL, &error), error);
    stele_store_close(second);
    child = fork();
    if (child == 0) {
        sqlite3 *db = NULL;

        sqlite3_open_v2(fixture_path(), &db, SQLITE_OPEN_READWRITE, NULL);
        _exit(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_BUSY ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(stele__sqlite_run(inside->writer.connection, STATEMENT_ROLLBACK), SQLITE_OK);
    stele_store_close(store);
}

/* --- Memory ------------------------------------------------------------------------------------ */

static stele_status open_and_close(void *context, stele_error **error)
{
    stele_store *store = NULL;
    const stele_status status = fixture_try(STELE_OPEN_CREATE, "sync=normal", &store, error);

    (void)context;
    stele_store_close(store);
    return status;
}

static stele_status create_and_close(void *context, stele_error **error)
{
    unlink(fixture_path());
    return open_and_close(context, error);
}

static void running_out_of_memory_while_opening_leaves_nothing_behind(void **state)
{
    (void)state;
    assert_true(support_every_allocation_fails(create_and_close, NULL) > 0);
    fixture_make(3);
    assert_true(support_every_allocation_fails(open_and_close, NULL) > 0);
    assert_int_equal(fixture_files(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        support_test(D9_a_missing_file_is_created_only_if_asked),
        support_test(D9_a_missing_folder_is_not_found),
        support_test(D9_a_directory_is_named_as_one),
        support_test(D9_a_fifo_is_refused_without_waiting_for_its_writer),
        support_test(D9_a_device_is_refused),
        support_test(D9_a_second_hard_link_is_refused),
        support_test(D9_a_symbolic_link_leads_to_the_one_store),
        support_test(D9_a_link_to_nowhere_is_not_found),
        support_test(D9_an_empty_file_is_foreign),
        support_test(D9_a_text_is_foreign_and_stays_as_it_is),
        support_test(D9_a_megabyte_of_noise_is_foreign),
        support_test(D9_another_programs_database_is_foreign),
        support_test(D9_the_log_of_another_programs_database_stays_as_it_is),
        support_test(D9_a_newer_version_is_refused_with_both_numbers),
        support_test(D9_a_version_of_zero_is_foreign),
        support_test(D9_anything_added_to_the_schema_is_foreign_and_named),
        support_test(D9_plain_tables_of_views_are_no_strangers),
        support_test(D9_tables_that_compute_or_have_our_names_are_foreign),
        support_test(D9_rows_of_the_schema_that_say_one_thing_and_are_another_are_refused),
        support_test(D9_files_of_the_formats_before_have_no_further_tables),
        support_test(a_file_of_format_3_is_brought_up_with_its_checkpoint),
        support_test(D9_anything_taken_from_the_schema_is_foreign),
        support_test(D9_a_store_out_of_wal_mode_is_foreign),
        support_test(D9_a_rollback_journal_beside_it_is_refused_and_not_played_back),
        support_test(D9_the_files_beside_it_are_files),
        support_test(a_file_cut_at_any_length_is_foreign_or_corrupt),
        support_test(D9_an_unreadable_file_is_denied),
        support_test(D9_a_file_without_write_permission_is_read_only),
        support_test(D9_a_log_that_another_user_has_left_is_said_to_be_the_reason),
        support_test(D9_a_read_only_folder_is_said_to_be_the_reason),
        support_test(D9_a_read_only_folder_is_the_reason_beside_a_log_too),
        support_test(having_no_descriptor_left_is_said_to_be_the_reason),
        support_test(a_store_opened_for_reading_reads_and_leaves_no_trace),
        support_test(a_reader_sees_what_a_living_writer_commits),
        support_test(malformed_and_unknown_parameters_are_named),
        support_test(parameters_reach_every_connection),
        support_test(D2_D9_D10_connections_are_defensive),
        support_test(D7_locks_survive_another_opening_in_this_process),
        support_test(running_out_of_memory_while_opening_leaves_nothing_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
