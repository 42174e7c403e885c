include tests/support/local.mk
include tests/unit/base/local.mk
include tests/unit/message/local.mk
include tests/unit/runtime/local.mk
include tests/unit/store/local.mk
include tests/unit/aggregate/local.mk
include tests/unit/bus/local.mk
include tests/unit/app/local.mk
include tests/unit/memory/local.mk
include tests/unit/sqlite/local.mk
include tests/contract/local.mk
include tests/integration/local.mk
include tests/sim/local.mk
include tests/crash/local.mk
include tests/fuzz/local.mk
include tests/build/local.mk

# Programs whose tests use threads: these run under ThreadSanitizer too (`make check-threads`).
thread_tests = \
	tests/contract/contract_test \
	tests/crash/race_test \
	tests/unit/aggregate/cache_test \
	tests/unit/aggregate/hooks_test \
	tests/unit/aggregate/remember_test \
	tests/unit/aggregate/snapshot_test \
	tests/unit/base/futex_portable_test \
	tests/unit/base/futex_test \
	tests/unit/base/memory_test \
	tests/unit/base/uuid_test \
	tests/unit/runtime/descriptor_portable_test \
	tests/unit/runtime/descriptor_test \
	tests/unit/runtime/mailbox_test \
	tests/unit/runtime/stress_test \
	tests/unit/runtime/timer_test \
	tests/unit/runtime/wait_test \
	tests/unit/runtime/worker_test \
	tests/unit/bus/event_log_test \
	tests/unit/bus/observe_test \
	tests/unit/bus/observers_test \
	tests/unit/bus/channel_test \
	tests/unit/store/idle_test \
	tests/unit/store/listen_test \
	tests/unit/store/queue_test \
	tests/unit/sqlite/growth_test \
	tests/unit/sqlite/idle_test
