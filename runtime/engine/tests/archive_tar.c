/* Tars in memory, well-formed and not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive_tests.h"

void t_raw(struct tar *tar, const void *data, size_t size) {
	tar->data = realloc(tar->data, tar->size + size);
	if (!tar->data)
		abort();
	memcpy(tar->data + tar->size, data, size);
	tar->size += size;
}

static void pad(struct tar *tar) {
	static const unsigned char zeros[512];

	t_raw(tar, zeros, (512 - tar->size % 512) % 512);
}

void t_checksum(unsigned char *block) {
	unsigned int sum = 0;

	memset(block + 148, ' ', 8);
	for (int i = 0; i < 512; i++)
		sum += block[i];
	snprintf((char *)block + 148, 8, "%06o", sum & 0777777);
}

void t_block(struct tar *tar, const void *block) {
	unsigned char copy[512];

	memcpy(copy, block, 512);
	t_checksum(copy);
	t_raw(tar, copy, 512);
}

static void add_sized(struct tar *tar, struct member member, const void *content, size_t content_size) {
	unsigned char block[512] = {0};
	unsigned long long size = member.lie ? member.size : content_size;

	memcpy(block, member.name, strlen(member.name) < 100 ? strlen(member.name) : 100);
	snprintf((char *)block + 100, 8, "%07o", (member.mode ? member.mode : 0644) & 07777777);
	snprintf((char *)block + 108, 8, "%07o", member.uid & 07777777);
	snprintf((char *)block + 116, 8, "%07o", member.gid & 07777777);
	snprintf((char *)block + 124, 12, "%011llo", size & 077777777777);
	snprintf((char *)block + 136, 12, "%011llo", (unsigned long long)member.mtime & 077777777777);
	block[156] = (unsigned char)(member.type ? member.type : '0');
	if (member.link)
		memcpy(block + 157, member.link, strlen(member.link) < 100 ? strlen(member.link) : 100);
	memcpy(block + 257, "ustar\00000", 8);
	t_block(tar, block);
	t_raw(tar, content, content_size);
	pad(tar);
}

void t_add(struct tar *tar, struct member member) {
	const char *content = member.content ? member.content : "";

	add_sized(tar, member, content, strlen(content));
}

void t_pax(struct tar *tar, char type, const char *key, const char *value) {
	size_t body = strlen(key) + strlen(value) + 3, total = body + 1;
	char *record = malloc(body + 32);

	if (!record)
		abort();
	while (total != body + (size_t)snprintf(NULL, 0, "%zu", total))
		total = body + (size_t)snprintf(NULL, 0, "%zu", total);
	snprintf(record, body + 32, "%zu %s=%s\n", total, key, value);
	add_sized(tar, (struct member){.name = "PaxHeaders/x", .type = type}, record, total);
	free(record);
}

void t_long(struct tar *tar, char type, const char *name) {
	add_sized(tar, (struct member){.name = "././@LongLink", .type = type}, name, strlen(name) + 1);
}

void t_finish(struct tar *tar) {
	static const unsigned char zeros[1024];

	t_raw(tar, zeros, sizeof(zeros));
}
