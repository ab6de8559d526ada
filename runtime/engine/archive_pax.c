/*
 * PAX records, from untrusted bytes: what an extended header says about the next
 * member, or a global one about all that follow.
 *
 * An owner that does not fit is kept as a huge number (the id map turns it into
 * nobody), a time out of range is clamped, a size that does not fit is an error:
 * it decides where the next header is. Of extended attributes those that the
 * entry keeps are taken, the rest is dropped; unknown keys are ignored, but
 * sparse files are refused, since their content would come out wrong.
 */
#include <string.h>

#include "archive.h"
#include "jail.h"

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
	overrides->mtime = tar_clamp_time(seconds > (unsigned long long)TAR_MTIME_MAX ? TAR_MTIME_MAX : (long long)seconds);
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

static int take_xattr(const struct record *record, struct tar_entry *entry, struct job_result *result) {
	const size_t prefix = strlen("SCHILY.xattr.");
	const char *name = record->key + prefix;
	size_t size = record->key_size - prefix;

	if (!tar_keeps_xattr(name, size))
		return 0;
	if (size > TAR_NAME_MAX || memchr(name, '\0', size))
		return job_fail(result, "header", "a bad extended attribute name");
	if (tar_entry_add_xattr(entry, name, size, record->value, record->value_size) != 0)
		return job_fail(result, "header", "too many extended attributes: more than %d", TAR_XATTRS_MAX);
	return 0;
}

static int take_number(const struct record *record, unsigned long long *out, int *has) {
	if (!parse_decimal(record->value, record->value_size, out))
		*out = TAR_UNKNOWN_ID;
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

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. The bytes of the record, or 0 when it is malformed. */
static size_t split_record(const char *data, size_t size, struct record *record) {
	const char *blank = memchr(data, ' ', size < 9 ? size : 9), *equals;
	unsigned long long length = 0;

	if (!blank || !parse_decimal(data, (size_t)(blank - data), &length) || length > size ||
	    length < (size_t)(blank - data) + 3 || data[length - 1] != '\n')
		return 0;
	equals = memchr(blank, '=', (size_t)(data + length - blank));
	if (!equals || equals == blank + 1)
		return 0;
	*record = (struct record){.key = blank + 1, .key_size = (size_t)(equals - blank - 1), .value = equals + 1,
	                          .value_size = (size_t)(data + length - 1 - equals - 1)};
	return (size_t)length;
}

int tar_parse_pax(const char *data, size_t size, int global, struct tar_entry *entry, struct tar_overrides *overrides,
                  struct job_result *result) {
	while (size > 0) {
		struct record record;
		size_t length = split_record(data, size, &record);

		if (length == 0)
			return job_fail(result, "header", "a malformed extended header");
		if (take_record(&record, global, entry, overrides, result) != 0)
			return -1;
		data += length;
		size -= length;
	}
	return 0;
}
