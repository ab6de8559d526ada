#define _GNU_SOURCE
#include "limits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

#define STEP "limits"

static void no_roots(struct limits *limits)
{
	for (int i = 0; i < V1_CONTROLLERS; i++)
		limits->roots[i] = -1;
}

static void note_path(int directory, char path[256])
{
	char link[32];
	ssize_t length = -1;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", directory);
	if (directory >= 0)
		length = readlink(link, path, 256);
	path[length < 0 || length == 256 ? 0 : length] = '\0';
}

void limits_note_paths(struct limits *limits, int memory, int cpu)
{
	note_path(memory, limits->memory_path);
	note_path(cpu, limits->cpu_path);
}

int limits_probe(struct limits *limits, const char *wanted)
{
	static const struct limits_mode *const modes[] = { &limits_v2, &limits_v1, &limits_none };
	char tried[512] = "";
	limits->engine = getpid();
	for (size_t i = 0; i < ARRAY_LENGTH(modes); i++) {
		if (strcmp(wanted, "auto") && strcmp(wanted, modes[i]->name))
			continue;
		no_roots(limits);
		if (modes[i]->probe(limits)) {
			size_t used = strlen(limits->detail);
			snprintf(limits->detail + used, sizeof(limits->detail) - used, "%s%s",
			         *tried ? "; " : "", tried);
			limits->mode = modes[i];
			return 0;
		}
		size_t used = strlen(tried);
		snprintf(tried + used, sizeof(tried) - used, "%sno %s: %.200s", used ? "; " : "",
		         modes[i]->name, limits->detail);
	}
	return refuse(STEP, "--limits %s does not work here: %s", wanted, tried);
}

int limits_make(struct limits *limits, struct limits_group *group)
{
	*group = (struct limits_group){ .directory = -1, .oom_event = -1 };
	for (int i = 0; i < V1_CONTROLLERS; i++)
		group->tasks[i] = -1;
	snprintf(group->name, sizeof(group->name), "sandbox-%d-%u", limits->engine,
	         limits->serial++);
	if (!limits->mode->make || !limits->mode->make(limits, group))
		return 0;
	struct fault kept = last_fault;
	limits_leave(limits, group);
	last_fault = kept;
	return -1;
}

int limits_create(struct limits *limits, struct limits_group *group, const struct spec *spec)
{
	const struct shares shares = { spec->memory, spec->pids, spec->cpu };
	if (!limits_take(limits, group) && limits_make(limits, group))
		return -1;
	/* Without groups there is nobody yet who could be limited. */
	if (!group->made || !limits->mode->change(limits, group, 0, &shares)) {
		group->memory = spec->memory;
		return 0;
	}
	struct fault kept = last_fault;
	limits_leave(limits, group);
	last_fault = kept;
	return -1;
}

int limits_change(struct limits *limits, struct limits_group *group, pid_t init,
                  const struct shares *shares)
{
	if (limits->mode->change(limits, group, init, shares))
		return -1;
	if (shares->memory)
		group->memory = shares->memory;
	return 0;
}

int limits_open_tasks(struct limits_group *group)
{
	if (group->directory < 0)
		return 0; /* v1 has them, or there is no group */
	group->tasks[0] = openat(group->directory, "cgroup.procs", O_WRONLY | O_CLOEXEC);
	return group->tasks[0] < 0 ? fault(STEP, "cgroup.procs") : 0;
}

void limits_close_handles(struct limits_group *group)
{
	close_fd(&group->directory);
	for (int i = 0; i < V1_CONTROLLERS; i++)
		close_fd(&group->tasks[i]);
}

void limits_leave(struct limits *limits, struct limits_group *group)
{
	limits_close_handles(group);
	close_fd(&group->oom_event);
	if (group->made)
		limits_give(limits, group->name);
	group->made = false;
}

int limits_write(int directory, const char *group, const char *file, bool optional,
                 const char *format, ...)
{
	char path[GROUP_NAME_LENGTH + 64], text[64];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	snprintf(path, sizeof(path), "%s/%s", group, file);
	if (write_at(directory, path, text) && !(optional && errno == ENOENT))
		return fault(STEP, "%s to %s", text, file);
	return 0;
}

long long limits_read(int directory, const char *group, const char *file)
{
	char path[GROUP_NAME_LENGTH + 64];
	snprintf(path, sizeof(path), "%s/%s", group, file);
	return directory < 0 ? -1 : read_number_at(directory, path);
}

long long limits_read_keyed(int directory, const char *group, const char *file, const char *key)
{
	char path[GROUP_NAME_LENGTH + 64];
	snprintf(path, sizeof(path), "%s/%s", group, file);
	return directory < 0 ? -1 : read_keyed_at(directory, path, key);
}

long long limits_count_processes(int directory, const char *group)
{
	char path[GROUP_NAME_LENGTH + 64], text[65536];
	long long lines = 0;
	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	if (directory < 0 || read_at(directory, path, text, sizeof(text)) < 0)
		return -1;
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		lines++;
	return lines;
}

void limits_sweep(int directory)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *groups = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	while (groups && (entry = readdir(groups))) {
		int engine;
		if (sscanf(entry->d_name, "sandbox-%d-", &engine) != 1 || !kill(engine, 0) ||
		    errno != ESRCH)
			continue;
		/* What was frozen in cgroup v1 could not die with its engine. */
		char state[sizeof(entry->d_name) + 32];
		snprintf(state, sizeof(state), "%s/freezer.state", entry->d_name);
		write_at(directory, state, "THAWED");
		/* Fails, rightly, while anything lives in it. */
		unlinkat(directory, entry->d_name, AT_REMOVEDIR);
	}
	if (groups)
		closedir(groups);
}
