/*
 * Deterministic tar members: the same entry gives the same bytes on every host.
 * ustar, and a PAX header only for what ustar can not say: a long path or link
 * target, a large file or owner, extended attributes. Records are in a fixed
 * order (path, linkpath, size, uid, gid, attributes as the caller sorted them).
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "archive.h"

enum { BUFFER_SIZE = 128 * 1024, NAME_SIZE = 100, PREFIX_SIZE = 155 };
#define OCTAL_7 07777777ULL      /* most that 7 octal digits hold */
#define OCTAL_11 077777777777ULL /* 11 digits */

int tar_writer_open(struct tar_writer *writer, int fd) {
	*writer = (struct tar_writer){.fd = fd, .buffer = malloc(BUFFER_SIZE)};
	return writer->buffer ? 0 : -1;
}

void tar_writer_close(struct tar_writer *writer) {
	free(writer->buffer);
	writer->buffer = NULL;
}

static int send_all(int fd, const unsigned char *data, size_t size) {
	while (size > 0) {
		ssize_t wrote = write(fd, data, size);

		if (wrote >= 0) {
			data += wrote;
			size -= (size_t)wrote;
		} else if (errno == EAGAIN) {
			struct pollfd wait = {.fd = fd, .events = POLLOUT};

			poll(&wait, 1, -1);
		} else if (errno != EINTR) {
			return -1;
		}
	}
	return 0;
}

static int flush(struct tar_writer *writer) {
	size_t size = writer->used;

	writer->used = 0;
	return send_all(writer->fd, writer->buffer, size);
}

int tar_write(struct tar_writer *writer, const void *data, size_t size) {
	const unsigned char *from = data;

	writer->total += size;
	while (size > 0) {
		size_t room = BUFFER_SIZE - writer->used, piece = size < room ? size : room;

		memcpy(writer->buffer + writer->used, from, piece);
		writer->used += piece;
		from += piece;
		size -= piece;
		if (writer->used == BUFFER_SIZE && flush(writer) != 0)
			return -1;
	}
	return 0;
}

int tar_write_padding(struct tar_writer *writer, unsigned long long size) {
	static const unsigned char zeros[TAR_BLOCK];

	return tar_write(writer, zeros, (TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

int tar_write_end(struct tar_writer *writer) {
	static const unsigned char zeros[2 * TAR_BLOCK];

	return tar_write(writer, zeros, sizeof(zeros)) == 0 ? flush(writer) : -1;
}

static void put_octal(unsigned char *field, int digits, unsigned long long value) {
	for (int i = digits - 1; i >= 0; i--, value >>= 3)
		field[i] = (unsigned char)('0' + (value & 7));
}

static void put_checksum(unsigned char *block) {
	unsigned long sum = 0;

	memset(block + 148, ' ', 8);
	for (int i = 0; i < TAR_BLOCK; i++)
		sum += block[i];
	put_octal(block + 148, 6, sum);
	block[154] = '\0';
}

/* Splits at a slash so that both parts fit; 0 when no split does. */
static int put_path(unsigned char *block, const char *path) {
	size_t size = strlen(path);

	if (size <= NAME_SIZE) {
		memcpy(block, path, size);
		return 1;
	}
	for (size_t cut = size - NAME_SIZE - 1; cut <= PREFIX_SIZE && cut < size - 1; cut++) {
		if (path[cut] != '/' || cut == 0)
			continue;
		memcpy(block + 345, path, cut);
		memcpy(block, path + cut + 1, size - cut - 1);
		return 1;
	}
	memcpy(block, path, NAME_SIZE);
	return 0;
}

struct pax {
	char *data;
	size_t size;
	int failed;
};

static size_t decimal_digits(size_t value) {
	size_t digits = 1;

	while (value >= 10) {
		value /= 10;
		digits++;
	}
	return digits;
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static void add_record(struct pax *pax, const char *prefix, const char *key, const void *value, size_t value_size) {
	size_t body = 1 + strlen(prefix) + strlen(key) + 1 + value_size + 1, total = body + decimal_digits(body);
	char *grown;
	int written;

	if (decimal_digits(total) != decimal_digits(body))
		total = body + decimal_digits(total);
	grown = realloc(pax->data, pax->size + total + 1);
	if (!grown) {
		pax->failed = 1;
		return;
	}
	pax->data = grown;
	written = sprintf(grown + pax->size, "%zu %s%s=", total, prefix, key);
	memcpy(grown + pax->size + written, value, value_size);
	grown[pax->size + total - 1] = '\n';
	pax->size += total;
}

static void add_number(struct pax *pax, const char *key, unsigned long long value) {
	char text[24];
	int size = snprintf(text, sizeof(text), "%llu", value);

	add_record(pax, "", key, text, (size_t)size);
}

static void add_numbers(struct pax *pax, const struct tar_entry *entry) {
	if (entry->size > OCTAL_11)
		add_number(pax, "size", entry->size);
	if (entry->uid > OCTAL_7)
		add_number(pax, "uid", entry->uid);
	if (entry->gid > OCTAL_7)
		add_number(pax, "gid", entry->gid);
}

static void add_xattrs(struct pax *pax, const struct tar_entry *entry) {
	for (int i = 0; i < entry->n_xattrs; i++)
		add_record(pax, "SCHILY.xattr.", entry->xattrs[i].name, entry->xattrs[i].value, entry->xattrs[i].size);
}

static void fill_block(unsigned char *block, char type, unsigned int mode, unsigned long long uid,
                       unsigned long long gid, unsigned long long size, long long mtime) {
	put_octal(block + 100, 7, mode & 07777);
	put_octal(block + 108, 7, uid <= OCTAL_7 ? uid : 0);
	put_octal(block + 116, 7, gid <= OCTAL_7 ? gid : 0);
	put_octal(block + 124, 11, size <= OCTAL_11 ? size : 0);
	put_octal(block + 136, 11, mtime > 0 && (unsigned long long)mtime <= OCTAL_11 ? (unsigned long long)mtime : 0);
	block[156] = (unsigned char)type;
	memcpy(block + 257, "ustar\00000", 8);
	put_checksum(block);
}

static int write_pax(struct tar_writer *writer, const struct pax *pax, const char *path) {
	unsigned char block[TAR_BLOCK] = {0};
	const char *slash = strrchr(path, '/');

	snprintf((char *)block, NAME_SIZE, "PaxHeaders/%.80s", slash && slash[1] ? slash + 1 : path);
	fill_block(block, 'x', 0644, 0, 0, pax->size, 0);
	if (tar_write(writer, block, TAR_BLOCK) != 0 || tar_write(writer, pax->data, pax->size) != 0)
		return -1;
	return tar_write_padding(writer, pax->size);
}

int tar_write_header(struct tar_writer *writer, const struct tar_entry *entry) {
	unsigned char block[TAR_BLOCK] = {0};
	struct pax pax = {0};
	size_t link_size = strlen(entry->link);
	int failed = 0;

	if (!put_path(block, entry->path))
		add_record(&pax, "", "path", entry->path, strlen(entry->path));
	memcpy(block + 157, entry->link, link_size < NAME_SIZE ? link_size : NAME_SIZE);
	if (link_size > NAME_SIZE)
		add_record(&pax, "", "linkpath", entry->link, link_size);
	add_numbers(&pax, entry);
	add_xattrs(&pax, entry);
	fill_block(block, entry->type, entry->mode, entry->uid, entry->gid, entry->size, entry->mtime);
	if (pax.failed) {
		errno = ENOMEM;
		failed = 1;
	} else if (pax.size > 0) {
		failed = write_pax(writer, &pax, entry->path) != 0;
	}
	free(pax.data);
	return failed ? -1 : tar_write(writer, block, TAR_BLOCK);
}
