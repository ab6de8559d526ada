/* What runs in a sandbox: every process of it is a descendant of its init, none can leave the tree. */
#define _GNU_SOURCE
#include "processes.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

#define COMMAND_LENGTH 1024
#define DESCRIPTION_MAX (FRAME_MAX - 4 * COMMAND_LENGTH)

static void add_pid(struct pids *pids, int pid)
{
	if (pids->count == pids->capacity) {
		pids->capacity = pids->capacity ? pids->capacity * 2 : 64;
		pids->list = realloc(pids->list, pids->capacity * sizeof(int));
		if (!pids->list)
			abort();
	}
	pids->list[pids->count++] = pid;
}

/* The kernel lists children under the thread that made them. */
static void add_children(int procfd, int pid, struct pids *pids)
{
	char path[64], children[4096], *rest;
	const struct dirent *thread;
	snprintf(path, sizeof(path), "%d/task", pid);
	int fd = openat(procfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *threads = fd < 0 ? NULL : fdopendir(fd);
	while (threads && (thread = readdir(threads))) {
		int id = atoi(thread->d_name);
		snprintf(path, sizeof(path), "%d/task/%d/children", pid, id);
		if (id <= 0 || read_at(procfd, path, children, sizeof(children)) <= 0)
			continue;
		rest = children;
		for (char *child; (child = strsep(&rest, " ")) && *child;)
			add_pid(pids, atoi(child));
	}
	if (threads)
		closedir(threads);
}

void pids_collect(struct pids *pids, int procfd, int init)
{
	add_pid(pids, init);
	for (size_t i = 0; i < pids->count; i++)
		add_children(procfd, pids->list[i], pids);
}

struct process {
	int pid, outer_parent;
	unsigned uid; /* the engine's */
	unsigned long long ticks, pages;
	char state;
	char command[COMMAND_LENGTH];
};

/* pid (comm) state ppid ...; comm may hold anything, so the last ")" counts. */
static bool read_stat(int procfd, int pid, struct process *process)
{
	char path[48], text[4096], comm[64] = "";
	unsigned long long user, system;
	long long pages;
	snprintf(path, sizeof(path), "%d/stat", pid);
	if (read_at(procfd, path, text, sizeof(text)) <= 0)
		return false;
	const char *open = strchr(text, '('), *end = strrchr(text, ')');
	if (!open || !end ||
	    sscanf(end + 1,
	           " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d %*d %*d %*d "
	           "%*u %*u %lld",
	           &process->state, &process->outer_parent, &user, &system, &pages) != 5)
		return false;
	process->ticks = user + system;
	process->pages = pages > 0 ? (unsigned long long)pages : 0;
	snprintf(comm, sizeof(comm), "%.*s", (int)(end - open - 1), open + 1);
	snprintf(process->command, sizeof(process->command), "[%s]", comm);
	return true;
}

static bool read_status(int procfd, int pid, struct process *process)
{
	char path[48], text[4096];
	snprintf(path, sizeof(path), "%d/status", pid);
	if (read_at(procfd, path, text, sizeof(text)) <= 0)
		return false;
	/* The name comes first and has its newlines escaped: no line of it can look like these. */
	const char *uid = strstr(text, "\nUid:\t"), *pids = strstr(text, "\nNSpid:\t");
	if (!uid || !pids)
		return false;
	process->uid = (unsigned)strtoul(uid + strlen("\nUid:\t"), NULL, 10);
	/* One for each pid namespace, the innermost last. */
	const char *end = strchrnul(pids + 1, '\n');
	while (end > pids && end[-1] != '\t')
		end--;
	process->pid = atoi(end);
	return true;
}

/* Arguments are separated by NUL; a process without any (kernel threads, zombies) keeps its [name]. */
static void read_command(int procfd, int pid, struct process *process)
{
	char path[48], text[COMMAND_LENGTH];
	snprintf(path, sizeof(path), "%d/cmdline", pid);
	ssize_t length = read_at(procfd, path, text, sizeof(text));
	while (length > 0 && !text[length - 1])
		length--;
	if (length <= 0)
		return;
	for (ssize_t i = 0; i < length; i++)
		process->command[i] = text[i] ? text[i] : ' ';
	process->command[length] = '\0';
}

void processes_describe(struct buffer *out, int procfd, int init, const struct ids *ids,
                        enum profile profile, unsigned private_id)
{
	struct pids pids = { 0 };
	const unsigned long long tick_ms = 1000 / (unsigned long long)sysconf(_SC_CLK_TCK);
	const unsigned long long page = (unsigned long long)sysconf(_SC_PAGESIZE);
	pids_collect(&pids, procfd, init);
	int *inner = need_array(pids.count, sizeof(int));
	for (size_t i = 0; i < pids.count && out->length < DESCRIPTION_MAX; i++) {
		struct process process = { 0 };
		int parent = 0;
		if (!read_stat(procfd, pids.list[i], &process) ||
		    !read_status(procfd, pids.list[i], &process))
			continue;
		for (size_t j = 0; j < i && !parent; j++)
			parent = pids.list[j] == process.outer_parent ? inner[j] : 0;
		/* Gone meanwhile, and its number is somebody else's. */
		if (i > 0 && !parent)
			continue;
		inner[i] = process.pid;
		/* Pid 1 is our own fork: its arguments are the engine's, with paths of the host. */
		if (i == 0)
			snprintf(process.command, sizeof(process.command), "wafer-init");
		else
			read_command(procfd, pids.list[i], &process);
		frame_field(out, "process", "%d %d %u %llu %llu %c %s", process.pid, parent,
		            ids_inside(ids, profile, private_id, process.uid), process.ticks * tick_ms,
		            process.pages * page, process.state, process.command);
	}
	free(inner);
	free(pids.list);
}
