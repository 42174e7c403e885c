# The bank: public headers only, linked with libstele.la.

bank_sources = \
	examples/bank/account.c \
	examples/bank/account.h \
	examples/bank/alerts.c \
	examples/bank/alerts.h \
	examples/bank/balances.c \
	examples/bank/balances.h \
	examples/bank/bank.c \
	examples/bank/bank.h \
	examples/bank/chart.c \
	examples/bank/chart.h \
	examples/bank/history.c \
	examples/bank/history.h \
	examples/bank/line.c \
	examples/bank/line.h \
	examples/bank/main.c \
	examples/bank/money.c \
	examples/bank/money.h \
	examples/bank/post.c \
	examples/bank/post.h \
	examples/bank/report.c \
	examples/bank/report.h \
	examples/bank/run.c \
	examples/bank/run.h \
	examples/bank/statement.c \
	examples/bank/statement.h \
	examples/bank/totals.c \
	examples/bank/transaction.c \
	examples/bank/transaction.h \
	examples/bank/watch.c \
	examples/bank/watch.h

if ENABLE_EXAMPLES
noinst_PROGRAMS += examples/bank/bank
endif
examples_bank_bank_SOURCES = $(bank_sources)
examples_bank_bank_CPPFLAGS = $(public_cppflags)
examples_bank_bank_CFLAGS = $(AM_CFLAGS) $(SQLITE_CFLAGS)
examples_bank_bank_LDADD = $(public_ldadd) $(SQLITE_LIBS)

EXTRA_DIST += examples/bank/monthly.sql examples/bank/statements.csv
