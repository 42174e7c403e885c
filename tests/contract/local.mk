# The contract suite: every clause over every backend.

test_programs += tests/contract/contract_test

tests_contract_contract_test_SOURCES = \
	tests/contract/append_contract.c \
	tests/contract/async_contract.c \
	tests/contract/checkpoint_contract.c \
	tests/contract/commands.c \
	tests/contract/contract.h \
	tests/contract/contract_test.c \
	tests/contract/filter_contract.c \
	tests/contract/ledger_contract.c \
	tests/contract/life_contract.c \
	tests/contract/limit_contract.c \
	tests/contract/outcome_contract.c \
	tests/contract/part_contract.c \
	tests/contract/read_contract.c \
	tests/contract/repeat_contract.c \
	tests/contract/snapshot_contract.c \
	tests/contract/thread_contract.c \
	tests/contract/types_contract.c \
	tests/contract/upcast_contract.c \
	$(test_tally)
tests_contract_contract_test_LDADD = $(test_ldadd)
