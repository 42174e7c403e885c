# Manual pages and the documents that go into a release.

if ENABLE_CLI
dist_man1_MANS += docs/man/stele.1
endif

EXTRA_DIST += \
	docs/bank.md \
	docs/bus.md \
	docs/commands.md \
	docs/concepts.md \
	docs/dead-letters.md \
	docs/dependencies.md \
	docs/evolution.md \
	docs/file-format.md \
	docs/hooks.md \
	docs/observing.md \
	docs/interceptors.md \
	docs/models.md \
	docs/modules.md \
	docs/operating.md \
	docs/performance.md \
	docs/projections.md \
	docs/reliability.md \
	docs/snapshots.md \
	docs/stores.md \
	docs/subscriptions.md \
	docs/testing.md \
	docs/threads.md \
	docs/views.md
