# The rules of the bank, tested as a user tests: cmocka, the public headers, libstele and libstele-testkit.

bank_rules = \
	examples/bank/account.c \
	examples/bank/account.h \
	examples/bank/history.c \
	examples/bank/history.h \
	examples/bank/money.c \
	examples/bank/money.h \
	examples/bank/transaction.c \
	examples/bank/transaction.h \
	tests/unit/bank/bank.h
bank_test_cppflags = $(public_cppflags) -I$(top_srcdir) $(CMOCKA_CFLAGS)
bank_test_ldadd = libstele-testkit.la libstele.la $(CMOCKA_LIBS)

test_programs += \
	tests/unit/bank/account_test \
	tests/unit/bank/transaction_test

tests_unit_bank_account_test_SOURCES = tests/unit/bank/account_test.c $(bank_rules)
tests_unit_bank_account_test_CPPFLAGS = $(bank_test_cppflags)
tests_unit_bank_account_test_LDADD = $(bank_test_ldadd)

tests_unit_bank_transaction_test_SOURCES = tests/unit/bank/transaction_test.c $(bank_rules)
tests_unit_bank_transaction_test_CPPFLAGS = $(bank_test_cppflags)
tests_unit_bank_transaction_test_LDADD = $(bank_test_ldadd)
