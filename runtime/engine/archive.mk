# Archive jobs, tree removal and the relay: sources for the engine, and their own tests.
# `-iquote`, not `-I`: limits.h here would hide the system's.
ARCHIVE_SRC := jail.c remove.c measure.c archive_path.c archive_entry.c archive_header.c archive_pax.c archive_read.c \
               archive_tree.c archive_apply.c archive_unpack.c \
               archive_links.c archive_write.c archive_member.c archive_pack.c archive_files.c
ARCHIVE_TESTS := $(wildcard tests/archive_*.c)
RELAY_SRC := relay.c relay_message.c relay_box.c relay_conn.c relay_dns.c relay_flow.c relay_hub.c
ARCHIVE_CFLAGS := -std=gnu11 -O2 -g -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2
ARCHIVE_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

build/archive_test: $(ARCHIVE_TESTS) $(ARCHIVE_SRC)
	@mkdir -p build
	$(CC) $(ARCHIVE_CFLAGS) -iquote . -o $@ $^

build/archive_test_asan: $(ARCHIVE_TESTS) $(ARCHIVE_SRC)
	@mkdir -p build
	$(CC) $(ARCHIVE_CFLAGS) $(ARCHIVE_SANITIZE) -iquote . -o $@ $^

build/relay_test: tests/relay_test.c $(RELAY_SRC) jail.c
	@mkdir -p build
	$(CC) $(ARCHIVE_CFLAGS) -iquote . -o $@ $^

build/relay_test_asan: tests/relay_test.c $(RELAY_SRC) jail.c
	@mkdir -p build
	$(CC) $(ARCHIVE_CFLAGS) $(ARCHIVE_SANITIZE) -iquote . -o $@ $^

check-archive: build/archive_test build/archive_test_asan
	build/archive_test
	build/archive_test_asan

check-relay: build/relay_test build/relay_test_asan
	build/relay_test || test $$? = 77 # skipped: it says why
	build/relay_test_asan || test $$? = 77

.PHONY: check-archive check-relay
