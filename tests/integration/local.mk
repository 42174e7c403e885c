# Tests of whole programs: the command, the example, the library as installed.

if ENABLE_CLI
test_programs += \
	tests/integration/cli_append_test \
	tests/integration/cli_dead_hostile_test \
	tests/integration/cli_dead_test \
	tests/integration/cli_faults_test \
	tests/integration/cli_import_test \
	tests/integration/cli_operations_test \
	tests/integration/cli_read_test \
	tests/integration/cli_schema_test \
	tests/integration/cli_subscriptions_test \
	tests/integration/cli_terminal_test
test_scripts += \
	tests/integration/cli_completion.sh \
	tests/integration/cli_man.sh \
	tests/integration/extension.sh \
	tests/integration/project.sh \
	tests/integration/readme.sh
endif
cli_test_support = tests/integration/cli.c tests/integration/cli.h
tests_integration_cli_append_test_SOURCES = tests/integration/cli_append_test.c $(cli_test_support)
tests_integration_cli_append_test_LDADD = $(test_ldadd)
tests_integration_cli_dead_hostile_test_SOURCES = tests/integration/cli_dead_hostile_test.c \
	tests/unit/bus/log_stage.h $(cli_test_support)
tests_integration_cli_dead_hostile_test_LDADD = $(test_ldadd)
tests_integration_cli_dead_test_SOURCES = tests/integration/cli_dead_test.c tests/unit/bus/log_stage.h \
	$(cli_test_support)
tests_integration_cli_dead_test_LDADD = $(test_ldadd)
tests_integration_cli_faults_test_SOURCES = tests/integration/cli_faults_test.c $(cli_test_support)
tests_integration_cli_faults_test_LDADD = $(test_ldadd)
tests_integration_cli_import_test_SOURCES = tests/integration/cli_import_test.c $(cli_test_support)
tests_integration_cli_import_test_LDADD = $(test_ldadd)
tests_integration_cli_operations_test_SOURCES = tests/integration/cli_operations_test.c $(cli_test_support)
tests_integration_cli_operations_test_LDADD = $(test_ldadd)
tests_integration_cli_read_test_SOURCES = tests/integration/cli_read_test.c $(cli_test_support)
tests_integration_cli_read_test_LDADD = $(test_ldadd)
tests_integration_cli_schema_test_SOURCES = tests/integration/cli_schema_test.c $(cli_test_support)
tests_integration_cli_schema_test_LDADD = $(test_ldadd)
tests_integration_cli_subscriptions_test_SOURCES = tests/integration/cli_subscriptions_test.c \
	tests/unit/store/subscription_stage.h $(cli_test_support)
tests_integration_cli_subscriptions_test_LDADD = $(test_ldadd)
tests_integration_cli_terminal_test_SOURCES = tests/integration/cli_terminal_test.c $(cli_test_support)
tests_integration_cli_terminal_test_LDADD = $(test_ldadd)
EXTRA_DIST += \
	tests/integration/cli_completion.sh \
	tests/integration/cli_man.sh \
	tests/integration/extension.sh \
	tests/integration/project.sh \
	tests/integration/readme.sh

test_programs += tests/integration/durable_kill_test
tests_integration_durable_kill_test_SOURCES = tests/integration/durable_kill_test.c tests/unit/bus/log_stage.h
tests_integration_durable_kill_test_LDADD = $(test_ldadd)

# The bank against a model of it.
if ENABLE_EXAMPLES
test_scripts += tests/integration/bank_test.sh tests/integration/bus_examples.sh
endif
EXTRA_DIST += \
	tests/integration/bank_model.awk \
	tests/integration/bank_test.sh \
	tests/integration/bus_examples.sh \
	tests/fixtures/bank-1.csv \
	tests/fixtures/bank-1.db
