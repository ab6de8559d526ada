/*
 * Header blocks, from untrusted bytes.
 *
 * Numbers may be octal text or base-256. An owner that does not fit is kept as
 * a huge number (the id map turns it into nobody), a time out of range is
 * clamped, a size that does not fit is an error: it decides where the next
 * header is.
 */
#include <string.h>

#include "archive.h"
#include "jail.h"

/* -1 when it is negative or does not fit in 63 bits. */
static int parse_base256(const unsigned char *field, size_t size, unsigned long long *out) {
	unsigned long long value = field[0] & 0x3f;

	if (field[0] & 0x40)
		return -1;
	for (size_t i = 1; i < size; i++) {
		if (value >> 55)
			return -1;
		value = value << 8 | field[i];
	}
	*out = value;
	return 0;
}

/* Octal text with blanks around, or base-256. -1 when it is neither or does not fit in 63 bits. */
static int parse_number(const unsigned char *field, size_t size, unsigned long long *out) {
	unsigned long long value = 0;
	size_t i = 0;

	if (field[0] & 0x80)
		return parse_base256(field, size, out);
	while (i < size && field[i] == ' ')
		i++;
	for (; i < size && field[i] >= '0' && field[i] <= '7'; i++) {
		if (value >> 60)
			return -1;
		value = value << 3 | (unsigned long long)(field[i] - '0');
	}
	for (; i < size; i++)
		if (field[i] != ' ' && field[i] != '\0')
			return -1;
	*out = value;
	return 0;
}

int tar_is_zero(const unsigned char *block, size_t size) {
	for (size_t i = 0; i < size; i++)
		if (block[i])
			return 0;
	return 1;
}

/* Both sums that were ever in use: over unsigned and over signed bytes. */
int tar_checksum_ok(const unsigned char *block) {
	unsigned long long stored = 0;
	long plain = 0, with_sign = 0;

	if (parse_number(block + 148, 8, &stored) != 0)
		return 0;
	for (int i = 0; i < TAR_BLOCK; i++) {
		unsigned char byte = i >= 148 && i < 156 ? ' ' : block[i];

		plain += byte;
		with_sign += (signed char)byte;
	}
	return (long)stored == plain || (long)stored == with_sign;
}

static void copy_field(char *out, const unsigned char *field, size_t size) {
	size_t length = strnlen((const char *)field, size);

	memcpy(out, field, length);
	out[length] = '\0';
}

static void header_path(const unsigned char *block, struct tar_entry *entry) {
	size_t used = 0;

	/* The prefix field is POSIX ustar's; old GNU headers ("ustar  ") keep times there. */
	if (memcmp(block + 257, "ustar\0", 6) == 0 && block[345]) {
		copy_field(entry->path, block + 345, 155);
		used = strlen(entry->path);
		entry->path[used++] = '/';
	}
	copy_field(entry->path + used, block, 100);
}

/* Only a file has content; as in other readers the size of all else counts as 0. */
static char normal_type(char type, const char *path) {
	size_t length = strlen(path);

	if (type == '\0' || type == '7' || type == '0')
		return length > 0 && path[length - 1] == '/' ? '5' : '0';
	return type;
}

static void apply_overrides(struct tar_entry *entry, const struct tar_overrides *overrides) {
	if (overrides->has_uid)
		entry->uid = overrides->uid;
	if (overrides->has_gid)
		entry->gid = overrides->gid;
	if (overrides->has_mtime) {
		entry->mtime = overrides->mtime;
		entry->mtime_nsec = overrides->mtime_nsec;
	}
}

int tar_parse_header(const unsigned char *block, struct tar_entry *entry, const struct tar_overrides *overrides,
                     struct job_result *result) {
	unsigned long long mode = 0, mtime = 0;
	char quoted[TAR_QUOTED];

	if (!overrides->has_path)
		header_path(block, entry);
	if (!overrides->has_link)
		copy_field(entry->link, block + 157, 100);
	entry->type = normal_type((char)block[156], entry->path);
	if (parse_number(block + 100, 8, &mode) != 0)
		return job_fail(result, "header", "bad mode in the header of \"%s\"", path_quote(entry->path, quoted));
	entry->mode = (unsigned int)(mode & 07777);
	if (parse_number(block + 108, 8, &entry->uid) != 0)
		entry->uid = TAR_UNKNOWN_ID;
	if (parse_number(block + 116, 8, &entry->gid) != 0)
		entry->gid = TAR_UNKNOWN_ID;
	if (parse_number(block + 136, 12, &mtime) != 0)
		mtime = 0;
	entry->mtime = tar_clamp_time((long long)mtime);
	if (overrides->has_size)
		entry->size = overrides->size;
	else if (parse_number(block + 124, 12, &entry->size) != 0)
		return job_fail(result, "header", "bad size in the header of \"%s\"", path_quote(entry->path, quoted));
	apply_overrides(entry, overrides);
	return 0;
}

