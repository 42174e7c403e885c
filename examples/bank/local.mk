# The bank: public headers only, linked with libstele.la.

bank_sources = \
	examples/bank/account.c \
	examples/bank/account.h \
	examples/bank/alerts.c \
	examples/bank/alerts.h \
	examples/bank/bank.c \
	examples/bank/bank.h \
	examples/bank/history.c \
	examples/bank/history.h \
	examples/bank/line.c \
	examples/bank/line.h \
	examples/bank/main.c \
	examples/bank/money.c \
	examples/bank/money.h \
	examples/bank/post.c \
	examples/bank/post.h \
	examples/bank/run.c \
	examples/bank/run.h \
	examples/bank/statement.c \
	examples/bank/statement.h \
	examples/bank/totals.c \
	examples/bank/transaction.c \
	examples/bank/transaction.h

if ENABLE_EXAMPLES
noinst_PROGRAMS += examples/bank/bank
endif
examples_bank_bank_SOURCES = $(bank_sources)
examples_bank_bank_CPPFLAGS = $(public_cppflags)
examples_bank_bank_LDADD = $(public_ldadd)

EXTRA_DIST += examples/bank/statements.csv
