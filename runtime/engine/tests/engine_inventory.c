/* What an engine holds: descriptors, processes, mounts, cgroups, names. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <time.h>

#include "engine_tests.h"

static int count_lines(const char *path)
{
	FILE *file = fopen(path, "re");
	int lines = 0, c;
	while (file && (c = fgetc(file)) != EOF)
		lines += c == '\n';
	if (file)
		fclose(file);
	return lines;
}

static int count_groups(void)
{
	char path[128], prefix[32];
	int count = 0;
	snprintf(path, sizeof(path), "/sys/fs/cgroup/memory/wafer/%u", getuid());
	snprintf(prefix, sizeof(prefix), "sandbox-%d-", driver.engine);
	DIR *directory = opendir(path);
	struct dirent *entry;
	while (directory && (entry = readdir(directory)))
		count += !strncmp(entry->d_name, prefix, strlen(prefix));
	if (directory)
		closedir(directory);
	return count;
}

struct inventory take_inventory(void)
{
	char path[64];
	size_t layers, works;
	/* What goes on behind the answers comes to an end. */
	struct message reply = driver_ask(&driver, FIELDS("op=stats"));
	while (strcmp(field(&reply, "background"), "0")) {
		message_free(&reply);
		reply = driver_ask(&driver, FIELDS("op=stats"));
	}
	struct inventory inventory = { .fds = atoi(field(&reply, "fds")),
		                           .children = atoi(field(&reply, "children")) };
	message_free(&reply);
	reply = driver_ask(&driver, FIELDS("op=list"));
	free(message_all(&reply, "layer", &layers));
	free(message_all(&reply, "work", &works));
	message_free(&reply);
	inventory.names = (int)(layers + works);
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", driver.engine);
	inventory.mounts = count_lines(path);
	inventory.groups = count_groups();
	return inventory;
}

int children_of(pid_t engine, pid_t *pids, int most)
{
	char path[64];
	int count = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", engine, engine);
	FILE *file = fopen(path, "re");
	while (file && count < most && fscanf(file, "%d", &pids[count]) == 1)
		count++;
	if (file)
		fclose(file);
	return count;
}

void wait_until_gone(pid_t pid)
{
	const struct timespec moment = { 0, 5000000 };
	for (int i = 0; i < 4000; i++) {
		if (kill(pid, 0) && errno == ESRCH)
			return;
		nanosleep(&moment, NULL);
	}
	check(false, "process %d lives on", pid);
}

void wait_until_asleep(pid_t pid)
{
	char path[64], state = '?';
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	for (int i = 0; state != 'S' && i < 4000; i++) {
		FILE *file = fopen(path, "re");
		if (file) {
			if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
				state = '?';
			fclose(file);
		}
		if (state != 'S')
			nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
	}
	check(state == 'S', "process %d is not asleep but %c", pid, state);
}
