/*
 * How long create, attach and destroy take, seen by the worker: p50 and p95 of ROUNDS sandboxes,
 * one after the other, beside each number of LIVE ones that idle; and the processor time that each
 * round took, of the engine and of the sandbox.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../util.h"
#include "driver.h"

enum { CREATE, CLONE, MOUNTS, EXEC, ATTACH, DESTROY, ENGINE, SANDBOX, KINDS };
static const char *const names[KINDS] = { "create", "us_clone", "us_mounts", "us_exec",
	                                      "attach", "destroy",  "cpu engine", "cpu inside" };

static struct driver driver;

static int by_size(const void *a, const void *b)
{
	const long *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* Nanoseconds of processor. */
static long long engine_time(void)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/schedstat", driver.engine);
	return read_number_at(AT_FDCWD, path);
}

static struct message ask(const char *const *fields)
{
	struct message reply = driver_ask(&driver, fields);
	check(message_get(&reply, "ok"), "%s: %s", field(&reply, "step"), field(&reply, "message"));
	return reply;
}

static struct message create(const char *id)
{
	char pair[64];
	snprintf(pair, sizeof(pair), "id=%s", id);
	return ask((const char *[]){ "op=create", pair, "profile=function", "layer=base",
	                             "arg=/bin/probe", "arg=sleep", "memory=67108864", "pids=32",
	                             NULL });
}

static void measure_round(long values[KINDS])
{
	long long busy = engine_time();
	uint64_t began = now_us();
	struct message reply = create("bench");
	values[CREATE] = (long)(now_us() - began);
	for (int kind = CLONE; kind <= EXEC; kind++)
		values[kind] = atol(field(&reply, names[kind]));
	message_free(&reply);
	began = now_us();
	reply = ask((const char *[]){ "op=attach", "id=bench", "code-layer=code1", "code-layer=code2",
	                              "memory=33554432", NULL });
	values[ATTACH] = (long)(now_us() - began);
	message_free(&reply);
	began = now_us();
	reply = ask((const char *[]){ "op=destroy", "id=bench", NULL });
	values[DESTROY] = (long)(now_us() - began);
	message_free(&reply);
	struct message event = driver_event(&driver);
	values[SANDBOX] = atol(field(&event, "cpu_us"));
	message_free(&event);
	values[ENGINE] = (long)(engine_time() - busy) / 1000;
}

static void show(int live, long (*values)[KINDS], int rounds)
{
	long *sorted = need_array((size_t)rounds, sizeof(long));
	for (int kind = 0; kind < KINDS; kind++) {
		for (int round = 0; round < rounds; round++)
			sorted[round] = values[round][kind];
		qsort(sorted, (size_t)rounds, sizeof(long), by_size);
		printf("%5d live  %-10s p50 %6ld us   p95 %6ld us\n", live, names[kind],
		       sorted[rounds / 2], sorted[rounds * 95 / 100]);
	}
	free(sorted);
}

int main(int count, char **values)
{
	if (count < 5) {
		fprintf(stderr, "usage: bench ENGINE PROBE LIMITS ROUNDS [LIVE...]\n");
		return 2;
	}
	int rounds = atoi(values[4]), live = 0;
	long(*samples)[KINDS] = need_array((size_t)rounds, sizeof(*samples));
	driver_prepare(&driver, values[2]);
	driver_start(&driver, values[1], values[3]);
	for (int i = 5; i <= count; i++) {
		int wanted = i < count ? atoi(values[i]) : 0;
		if (i == count && count > 5)
			break;
		for (char id[32]; live < wanted; live++) {
			snprintf(id, sizeof(id), "live%d", live);
			struct message reply = create(id);
			message_free(&reply);
		}
		for (int round = 0; round < rounds; round++)
			measure_round(samples[round]);
		show(live, samples, rounds);
	}
	driver_stop(&driver);
	driver_remove(&driver);
	free(samples);
	return 0;
}
