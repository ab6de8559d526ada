/*
 * launch COUNT PARALLEL PROGRAM [ARGUMENT...]: runs the program COUNT times, PARALLEL at a time, and prints JSON: ms
 * from fork to exit of each, CPU ms of each (its waited-for children too), ms of all. Small, so that starting the
 * program costs nothing but the program: a large process takes milliseconds to fork.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct run {
	pid_t pid;
	double began, ms, cpu;
};

static double now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

static double millis(struct timeval time)
{
	return (double)time.tv_sec * 1e3 + (double)time.tv_usec / 1e3;
}

static void begin(struct run *run, char **argv)
{
	run->began = now();
	run->pid = vfork();
	if (run->pid == 0) {
		execvp(argv[0], argv);
		_exit(127);
	}
	if (run->pid < 0) {
		perror("vfork");
		exit(1);
	}
}

static void wait_one(struct run *runs, int count)
{
	struct rusage usage;
	int status;
	pid_t pid = wait4(-1, &status, 0, &usage);
	double ended = now();
	for (int i = 0; i < count; i++) {
		if (runs[i].pid != pid)
			continue;
		runs[i].pid = 0;
		runs[i].ms = ended - runs[i].began;
		runs[i].cpu = millis(usage.ru_utime) + millis(usage.ru_stime);
	}
	if (pid < 0 || !WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr, "the program ended with wait status %d\n", status);
		exit(1);
	}
}

static void print(const char *name, const struct run *runs, int count, int cpu)
{
	printf("\"%s\":[", name);
	for (int i = 0; i < count; i++)
		printf("%s%.4f", i ? "," : "", cpu ? runs[i].cpu : runs[i].ms);
	printf("],");
}

int main(int argc, char **argv)
{
	int count = argc > 3 ? atoi(argv[1]) : 0;
	int parallel = argc > 3 ? atoi(argv[2]) : 0;
	struct run *runs = calloc(count > 0 ? (size_t)count : 1, sizeof(*runs));
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	int out = fcntl(1, F_DUPFD_CLOEXEC, 3);
	if (count <= 0 || parallel <= 0 || !runs || null < 0 || out < 0) {
		fprintf(stderr, "usage: launch COUNT PARALLEL PROGRAM [ARGUMENT...]\n");
		return 2;
	}
	dup2(null, 0);
	dup2(null, 1);
	double began = now();
	for (int i = 0; i < count; i++) {
		if (i >= parallel)
			wait_one(runs, i);
		begin(&runs[i], argv + 3);
	}
	for (int left = count < parallel ? count : parallel; left > 0; left--)
		wait_one(runs, count);
	double all = now() - began;
	dup2(out, 1);
	printf("{");
	print("ms", runs, count, 0);
	print("cpuMs", runs, count, 1);
	printf("\"allMs\":%.4f}\n", all);
	return 0;
}
