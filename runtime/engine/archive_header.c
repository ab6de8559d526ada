/*
 * Header blocks and PAX records, from untrusted bytes.
 *
 * Numbers may be octal text or base-256. An owner that does not fit is kept as
 * a huge number (the id map turns it into nobody), a time out of range is
 * clamped, a size that does not fit is an error: it decides where the next
 * header is.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "jail.h"

#define UNKNOWN_ID (~0ULL)

void tar_entry_reset(struct tar_entry *entry) {
	for (int i = 0; i < entry->n_xattrs; i++) {
		free(entry->xattrs[i].name);
		free(entry->xattrs[i].value);
	}
	entry->n_xattrs = 0;
	entry->path[0] = entry->link[0] = '\0';
	entry->type = 0;
	entry->mode = 0;
	entry->uid = entry->gid = entry->size = 0;
	entry->mtime = 0;
	entry->mtime_nsec = 0;
}

int tar_entry_add_xattr(struct tar_entry *entry, const char *name, size_t name_size, const void *value, size_t size) {
	struct tar_xattr *xattr = &entry->xattrs[entry->n_xattrs];

	if (entry->n_xattrs >= TAR_XATTRS_MAX) {
		errno = E2BIG;
		return -1;
	}
	xattr->name = strndup(name, name_size);
	xattr->value = malloc(size ? size : 1);
	if (!xattr->name || !xattr->value) {
		free(xattr->name);
		free(xattr->value);
		errno = ENOMEM;
		return -1;
	}
	memcpy(xattr->value, value, size);
	xattr->size = size;
	entry->n_xattrs++;
	return 0;
}

/* Octal text with blanks around, or base-256. -1 when it is neither or does not fit in 63 bits. */
static int parse_number(const unsigned char *field, size_t size, unsigned long long *out) {
	unsigned long long value = 0;
	size_t i = 0;

	if (field[0] & 0x80) {
		if (field[0] & 0x40)
			return -1;
		value = field[0] & 0x3f;
		for (i = 1; i < size; i++) {
			if (value >> 55)
				return -1;
			value = value << 8 | field[i];
		}
		*out = value;
		return 0;
	}
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

static long long clamp_time(long long seconds) {
	if (seconds < 0)
		return 0;
	return seconds > TAR_MTIME_MAX ? TAR_MTIME_MAX : seconds;
}

/* Only a file has content; as in other readers the size of all else counts as 0. */
static char normal_type(char type, const char *path) {
	size_t length = strlen(path);

	if (type == '\0' || type == '7' || type == '0')
		return length > 0 && path[length - 1] == '/' ? '5' : '0';
	return type;
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
		entry->uid = UNKNOWN_ID;
	if (parse_number(block + 116, 8, &entry->gid) != 0)
		entry->gid = UNKNOWN_ID;
	if (parse_number(block + 136, 12, &mtime) != 0)
		mtime = 0;
	entry->mtime = clamp_time((long long)mtime);
	if (overrides->has_size)
		entry->size = overrides->size;
	else if (parse_number(block + 124, 12, &entry->size) != 0)
		return job_fail(result, "header", "bad size in the header of \"%s\"", path_quote(entry->path, quoted));
	if (overrides->has_uid)
		entry->uid = overrides->uid;
	if (overrides->has_gid)
		entry->gid = overrides->gid;
	if (overrides->has_mtime) {
		entry->mtime = overrides->mtime;
		entry->mtime_nsec = overrides->mtime_nsec;
	}
	return 0;
}

/* Decimal digits only. 0 when the number does not fit in 63 bits or has other bytes. */
static int parse_decimal(const char *text, size_t size, unsigned long long *out) {
	unsigned long long value = 0;

	if (size == 0)
		return 0;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9' || value > (~0ULL >> 1) / 10 - 1)
			return 0;
		value = value * 10 + (unsigned long long)(text[i] - '0');
	}
	*out = value;
	return 1;
}

static int parse_time(const char *text, size_t size, struct tar_overrides *overrides) {
	const char *dot = memchr(text, '.', size);
	size_t whole = dot ? (size_t)(dot - text) : size;
	unsigned long long seconds = 0;
	long nsec = 0, unit = 100000000;

	overrides->has_mtime = 1;
	overrides->mtime = 0;
	overrides->mtime_nsec = 0;
	if (size > 0 && text[0] == '-')
		return 1;
	if (!parse_decimal(text, whole, &seconds)) {
		for (size_t i = 0; i < whole; i++)
			if (text[i] < '0' || text[i] > '9')
				return 0;
		seconds = (unsigned long long)TAR_MTIME_MAX;
	}
	for (size_t i = whole + 1; i < size && unit > 0; i++, unit /= 10) {
		if (text[i] < '0' || text[i] > '9')
			return 0;
		nsec += (text[i] - '0') * unit;
	}
	overrides->mtime = clamp_time(seconds > (unsigned long long)TAR_MTIME_MAX ? TAR_MTIME_MAX : (long long)seconds);
	overrides->mtime_nsec = nsec;
	return 1;
}

struct record {
	const char *key, *value;
	size_t key_size, value_size;
};

static int key_is(const struct record *record, const char *key) {
	return record->key_size == strlen(key) && memcmp(record->key, key, record->key_size) == 0;
}

static int key_starts(const struct record *record, const char *prefix) {
	size_t size = strlen(prefix);

	return record->key_size > size && memcmp(record->key, prefix, size) == 0;
}

static int take_name(const struct record *record, char out[TAR_PATH_MAX + 1], int *has, struct job_result *result) {
	if (record->value_size == 0)
		return 0;
	if (record->value_size > TAR_PATH_MAX)
		return job_fail(result, "header", "a path longer than %d bytes in an extended header", TAR_PATH_MAX);
	if (memchr(record->value, '\0', record->value_size))
		return job_fail(result, "header", "a NUL in a name of an extended header");
	memcpy(out, record->value, record->value_size);
	out[record->value_size] = '\0';
	*has = 1;
	return 0;
}

/* Kept: `user.*` but overlayfs' own. Everything else (security.*, trusted.*, system.*) is dropped. */
static int take_xattr(const struct record *record, struct tar_entry *entry, struct job_result *result) {
	const size_t prefix = strlen("SCHILY.xattr.");
	const char *name = record->key + prefix;
	size_t size = record->key_size - prefix;

	if (size <= 5 || memcmp(name, "user.", 5) != 0 || (size >= 13 && memcmp(name, "user.overlay.", 13) == 0))
		return 0;
	if (size > TAR_NAME_MAX || memchr(name, '\0', size))
		return job_fail(result, "header", "a bad extended attribute name");
	if (tar_entry_add_xattr(entry, name, size, record->value, record->value_size) != 0)
		return job_fail(result, "header", "too many extended attributes: more than %d", TAR_XATTRS_MAX);
	return 0;
}

static int take_number(const struct record *record, unsigned long long *out, int *has) {
	if (!parse_decimal(record->value, record->value_size, out))
		*out = UNKNOWN_ID;
	*has = 1;
	return 0;
}

static int take_member_record(const struct record *record, struct tar_entry *entry, struct tar_overrides *overrides,
                              struct job_result *result) {
	if (key_is(record, "path"))
		return take_name(record, entry->path, &overrides->has_path, result);
	if (key_is(record, "linkpath"))
		return take_name(record, entry->link, &overrides->has_link, result);
	if (key_starts(record, "SCHILY.xattr."))
		return take_xattr(record, entry, result);
	if (key_is(record, "size")) {
		overrides->has_size = 1;
		if (!parse_decimal(record->value, record->value_size, &overrides->size))
			return job_fail(result, "header", "a bad size in an extended header");
	}
	return 0;
}

static int take_record(const struct record *record, int global, struct tar_entry *entry,
                       struct tar_overrides *overrides, struct job_result *result) {
	if (key_starts(record, "GNU.sparse."))
		return job_fail(result, "header", "sparse files are not supported");
	if (key_is(record, "uid"))
		return take_number(record, &overrides->uid, &overrides->has_uid);
	if (key_is(record, "gid"))
		return take_number(record, &overrides->gid, &overrides->has_gid);
	if (key_is(record, "mtime")) {
		if (!parse_time(record->value, record->value_size, overrides))
			return job_fail(result, "header", "a bad time in an extended header");
		return 0;
	}
	if (!global)
		return take_member_record(record, entry, overrides, result);
	if (key_is(record, "path") || key_is(record, "linkpath") || key_is(record, "size"))
		return job_fail(result, "header", "a name or size in a global header");
	return 0;
}

int tar_parse_pax(const char *data, size_t size, int global, struct tar_entry *entry, struct tar_overrides *overrides,
                  struct job_result *result) {
	while (size > 0) {
		const char *blank = memchr(data, ' ', size < 9 ? size : 9), *equals;
		unsigned long long length = 0;
		struct record record;

		if (!blank || !parse_decimal(data, (size_t)(blank - data), &length) || length > size ||
		    length < (size_t)(blank - data) + 3 || data[length - 1] != '\n')
			return job_fail(result, "header", "a malformed extended header");
		equals = memchr(blank, '=', (size_t)(data + length - blank));
		if (!equals || equals == blank + 1)
			return job_fail(result, "header", "a malformed extended header");
		record = (struct record){.key = blank + 1, .key_size = (size_t)(equals - blank - 1), .value = equals + 1,
		                         .value_size = (size_t)(data + length - 1 - equals - 1)};
		if (take_record(&record, global, entry, overrides, result) != 0)
			return -1;
		data += length;
		size -= length;
	}
	return 0;
}
