/* How long a create takes, seen by the worker: p50 and p95 of `count` sandboxes, one after the other. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../util.h"
#include "driver.h"

static int by_size(const void *a, const void *b)
{
	const long *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static void show(const char *name, long *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), by_size);
	printf("%-8s p50 %6ld us   p95 %6ld us\n", name, values[count / 2], values[count * 95 / 100]);
}

int main(int count, char **values)
{
	struct driver driver;
	if (count < 5) {
		fprintf(stderr, "usage: bench ENGINE PROBE LIMITS COUNT [FIELD...]\n");
		return 2;
	}
	int rounds = atoi(values[4]);
	static const char *const names[] = { "us_clone", "us_mounts", "us_exec" };
	long *total = calloc((size_t)rounds, sizeof(long)), *ended = calloc((size_t)rounds, sizeof(long));
	long *steps[3];
	for (int i = 0; i < 3; i++)
		steps[i] = calloc((size_t)rounds, sizeof(long));
	driver_prepare(&driver, values[2]);
	driver_start(&driver, values[1], values[3]);
	for (int round = 0; round < rounds; round++) {
		const char *fields[64] = { "op=create",    "id=bench",      "profile=function",
			                       "layer=base",   "arg=/bin/probe", "arg=sleep",
			                       "memory=67108864", "pids=32",       "cpu=1000" };
		int used = 9;
		for (int i = 5; i < count && used < 63; i++)
			fields[used++] = values[i];
		uint64_t began = now_us();
		struct message reply = driver_ask(&driver, fields);
		total[round] = (long)(now_us() - began);
		check(message_get(&reply, "ok"), "%s: %s", field(&reply, "step"),
		      field(&reply, "message"));
		for (int i = 0; i < 3; i++)
			steps[i][round] = atol(field(&reply, names[i]));
		message_free(&reply);
		began = now_us();
		reply = driver_ask(&driver, (const char *[]){ "op=destroy", "id=bench", NULL });
		ended[round] = (long)(now_us() - began);
		message_free(&reply);
		struct message event = driver_event(&driver);
		message_free(&event);
	}
	driver_stop(&driver);
	driver_remove(&driver);
	show("create", total, rounds);
	for (int i = 0; i < 3; i++)
		show(names[i], steps[i], rounds);
	show("destroy", ended, rounds);
	return 0;
}
