/*
 * A pull reader for uncompressed tar: ustar, GNU long names, PAX.
 *
 * One 128 KiB buffer; contents are handed out from it in pieces. Extended
 * headers are capped one by one, per member and in total. A stream without the
 * end marker is truncated, and anything but zeros after it is refused, so that
 * two readers can not see two different archives.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive.h"
#include "jail.h"

enum { BUFFER_SIZE = 128 * 1024 };

int tar_open(struct tar_reader *reader, int fd, struct job_result *result) {
	*reader = (struct tar_reader){.fd = fd, .result = result, .buffer = malloc(BUFFER_SIZE)};
	return reader->buffer ? 0 : job_fail(result, "read", "out of memory");
}

void tar_close(struct tar_reader *reader) {
	free(reader->buffer);
	reader->buffer = NULL;
}

/* Bytes available after this call; 0 is the end of the stream. */
static ssize_t fill(struct tar_reader *reader) {
	if (reader->head < reader->tail)
		return (ssize_t)(reader->tail - reader->head);
	reader->head = reader->tail = 0;
	for (;;) {
		ssize_t got = read(reader->fd, reader->buffer, BUFFER_SIZE);

		if (got >= 0) {
			reader->tail = (size_t)got;
			return got;
		}
		if (errno == EAGAIN) {
			struct pollfd wait = {.fd = reader->fd, .events = POLLIN};

			poll(&wait, 1, -1);
		} else if (errno != EINTR) {
			return job_fail(reader->result, "read", "cannot read the archive: %m");
		}
	}
}

/* 1: all of `size` bytes; 0: the stream ended before the first; -1: failed or cut short. */
static int read_exact(struct tar_reader *reader, void *out, size_t size) {
	size_t done = 0;

	while (done < size) {
		ssize_t available = fill(reader);
		size_t piece;

		if (available < 0)
			return -1;
		if (available == 0)
			return done == 0 ? 0 : job_fail(reader->result, "read", "the archive is truncated");
		piece = (size_t)available < size - done ? (size_t)available : size - done;
		memcpy((char *)out + done, reader->buffer + reader->head, piece);
		reader->head += piece;
		done += piece;
	}
	return 1;
}

static int skip_bytes(struct tar_reader *reader, unsigned long long size) {
	while (size > 0) {
		ssize_t available = fill(reader);

		if (available < 0)
			return -1;
		if (available == 0)
			return job_fail(reader->result, "read", "the archive is truncated");
		if ((unsigned long long)available > size)
			available = (ssize_t)size;
		reader->head += (size_t)available;
		size -= (unsigned long long)available;
	}
	return 0;
}

ssize_t tar_content(struct tar_reader *reader, const unsigned char **piece) {
	ssize_t available;

	if (reader->left == 0)
		return 0;
	available = fill(reader);
	if (available < 0)
		return -1;
	if (available == 0)
		return job_fail(reader->result, "read", "the archive is truncated");
	if ((unsigned long long)available > reader->left)
		available = (ssize_t)reader->left;
	*piece = reader->buffer + reader->head;
	reader->head += (size_t)available;
	reader->left -= (unsigned long long)available;
	return available;
}

static unsigned long long padding(unsigned long long size) {
	return (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK;
}

/* The content of an extended header; NUL-terminated, to be freed by the caller. */
static char *read_extension(struct tar_reader *reader, unsigned long long size, unsigned long long *entry_total) {
	char *data;

	*entry_total += size;
	reader->extensions += size + TAR_BLOCK;
	if (*entry_total > TAR_EXTENSION_MAX || reader->extensions > TAR_EXTENSIONS_TOTAL) {
		job_fail(reader->result, "header", "extended headers are too large");
		return NULL;
	}
	data = malloc(size + 1);
	if (!data) {
		job_fail(reader->result, "header", "out of memory");
		return NULL;
	}
	data[size] = '\0';
	if ((size > 0 && read_exact(reader, data, size) != 1) || skip_bytes(reader, padding(size)) != 0) {
		if (reader->result->message[0] == '\0')
			job_fail(reader->result, "read", "the archive is truncated");
		free(data);
		return NULL;
	}
	return data;
}

static int take_long_name(struct tar_reader *reader, const char *data, char out[TAR_PATH_MAX + 1], int *has) {
	size_t length = strlen(data);

	if (length == 0 || length > TAR_PATH_MAX)
		return job_fail(reader->result, "header", "a path longer than %d bytes, or empty", TAR_PATH_MAX);
	memcpy(out, data, length + 1);
	*has = 1;
	return 0;
}

static int take_extension(struct tar_reader *reader, char type, unsigned long long size, struct tar_entry *entry,
                          struct tar_overrides *overrides, unsigned long long *entry_total) {
	struct tar_overrides *into = type == 'g' ? &reader->global : overrides;
	char *data = read_extension(reader, size, entry_total);
	int failed = -1;

	if (!data)
		return -1;
	if (type == 'x' || type == 'g')
		failed = tar_parse_pax(data, size, type == 'g', entry, into, reader->result);
	else if (type == 'L')
		failed = take_long_name(reader, data, entry->path, &overrides->has_path);
	else
		failed = take_long_name(reader, data, entry->link, &overrides->has_link);
	free(data);
	return failed;
}

/* 1: a block; 0: the end marker (two zero blocks); -1: failed. */
static int next_block(struct tar_reader *reader, unsigned char block[TAR_BLOCK]) {
	int got = read_exact(reader, block, TAR_BLOCK);

	if (got < 0)
		return -1;
	if (got == 0)
		return job_fail(reader->result, "read", "the archive is truncated (no end marker)");
	if (tar_is_zero(block, TAR_BLOCK))
		return 0;
	if (!tar_checksum_ok(block))
		return job_fail(reader->result, "header", "not a tar archive, or damaged: a header's checksum is wrong");
	return 1;
}

/* What a global header says holds for every later member that does not say otherwise itself. */
static void merge_global(const struct tar_overrides *global, struct tar_overrides *overrides) {
	if (global->has_uid && !overrides->has_uid) {
		overrides->has_uid = 1;
		overrides->uid = global->uid;
	}
	if (global->has_gid && !overrides->has_gid) {
		overrides->has_gid = 1;
		overrides->gid = global->gid;
	}
	if (global->has_mtime && !overrides->has_mtime) {
		overrides->has_mtime = 1;
		overrides->mtime = global->mtime;
		overrides->mtime_nsec = global->mtime_nsec;
	}
}

static int is_extension(unsigned char type) {
	return type == 'x' || type == 'g' || type == 'L' || type == 'K';
}

/* The next header block that is no extension; what extensions before it say goes to `entry` and `overrides`. */
static int next_header(struct tar_reader *reader, unsigned char block[TAR_BLOCK], struct tar_entry *entry,
                       struct tar_overrides *overrides) {
	unsigned long long extension_total = 0;
	int got, extended = 0;

	while ((got = next_block(reader, block)) == 1 && is_extension(block[156])) {
		struct tar_entry probe = {0};
		struct tar_overrides none = {0};

		if (tar_parse_header(block, &probe, &none, reader->result) != 0 ||
		    take_extension(reader, (char)block[156], probe.size, entry, overrides, &extension_total) != 0)
			return -1;
		extended = block[156] != 'g' || extended;
	}
	if (got == 0 && extended)
		return job_fail(reader->result, "header", "an extended header without its entry");
	return got;
}

int tar_next(struct tar_reader *reader, struct tar_entry *entry) {
	unsigned char block[TAR_BLOCK];
	struct tar_overrides overrides = {0};
	int got;

	if (skip_bytes(reader, reader->left + reader->pad) != 0)
		return -1;
	reader->left = reader->pad = 0;
	tar_entry_reset(entry);
	got = next_header(reader, block, entry, &overrides);
	if (got <= 0)
		return got;
	merge_global(&reader->global, &overrides);
	if (tar_parse_header(block, entry, &overrides, reader->result) != 0)
		return -1;
	if (entry->type == '0') {
		reader->left = entry->size;
		reader->pad = padding(entry->size);
	} else {
		entry->size = 0;
	}
	return 1;
}

int tar_finish(struct tar_reader *reader) {
	for (;;) {
		ssize_t available = fill(reader);

		if (available <= 0)
			return (int)available;
		if (!tar_is_zero(reader->buffer + reader->head, (size_t)available))
			return job_fail(reader->result, "read", "data after the end of the archive");
		reader->head += (size_t)available;
	}
}
