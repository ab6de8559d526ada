/* The engine's side of a sandbox: from the request to the moment everything of it is freed. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine.h"
#include "init.h"
#include "jobs.h"

#define NAMESPACES                                                                             \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS)

struct pending_exec {
	struct pending_exec *next;
	uint32_t number, request;
	pid_t pid;
	char name[NAME_LENGTH + 1];
};

struct waiter {
	struct waiter *next;
	uint32_t request;
};

enum state { STARTING, RUNNING, LEAVING };

struct sandbox {
	struct sandbox *next;
	char id[NAME_LENGTH + 1];
	enum state state;
	uint32_t create_request;
	pid_t pid;
	unsigned private_id;
	struct limits_group group;
	struct source process, commands, oom; /* fd -1: none */
	uint64_t clone_us, mounts_us, exec_us;
	struct fault fault;   /* why it did not start */
	bool has_status, oom_seen, killed, egress;
	int status;           /* wait status of the first program */
	int64_t cpu_us;       /* from rusage, where no group counts */
	struct usage last;    /* taken just before the group goes */
	uint32_t exec_count;
	struct pending_exec *execs;
	struct waiter *waiters; /* destroy requests */
};

static struct sandbox *find(const struct engine *engine, const char *id)
{
	struct sandbox *sandbox = id ? engine->sandboxes : NULL;
	while (sandbox && strcmp(sandbox->id, id))
		sandbox = sandbox->next;
	return sandbox;
}

static bool sandbox_oom(struct sandbox *sandbox)
{
	return sandbox->oom_seen || sandbox->group.over || sandbox->last.oom_kills > 0;
}

static void kill_sandbox(struct sandbox *sandbox)
{
	if (sandbox->process.fd >= 0)
		syscall(SYS_pidfd_send_signal, sandbox->process.fd, SIGKILL, NULL, 0);
}

/* ---- the end ---- */

static void send_exit_event(struct engine *engine, struct sandbox *sandbox)
{
	const struct usage *usage = &sandbox->last;
	bool by_signal = !sandbox->has_status || WIFSIGNALED(sandbox->status);
	int number = !sandbox->has_status ? SIGKILL
	             : by_signal          ? WTERMSIG(sandbox->status)
	                                  : WEXITSTATUS(sandbox->status);
	const char *reason = sandbox_oom(sandbox)                                ? "oom"
	                     : sandbox->killed || !sandbox->has_status           ? "killed"
	                     : by_signal && (number == SIGXFSZ || number == SIGXCPU) ? "limit"
	                                                                         : "exited";
	size_t begin = frame_begin(&engine->out, 0);
	frame_field(&engine->out, "event", "exit");
	frame_field(&engine->out, "id", "%s", sandbox->id);
	frame_field(&engine->out, by_signal ? "signal" : "status", "%d", number);
	frame_field(&engine->out, "reason", "%s", reason);
	if (usage->memory_peak >= 0)
		frame_field(&engine->out, "memory_peak", "%lld", (long long)usage->memory_peak);
	frame_field(&engine->out, "cpu_us", "%lld",
	            (long long)(usage->cpu_us >= 0 ? usage->cpu_us : sandbox->cpu_us));
	frame_end(&engine->out, begin);
}

static void answer_failed_start(struct engine *engine, struct sandbox *sandbox)
{
	last_fault = sandbox->fault;
	if (!*last_fault.step)
		refuse("start", "the sandbox died before its program ran%s",
		       sandbox_oom(sandbox) ? " (out of memory)" : sandbox->killed ? " (destroyed)" : "");
	reply_fault(engine, sandbox->create_request,
	            !strcmp(last_fault.step, "exec") ? "exec_failed" : "setup_failed");
}

static void free_sandbox(struct engine *engine, struct sandbox *sandbox)
{
	struct sandbox **link = &engine->sandboxes;
	while (*link != sandbox)
		link = &(*link)->next;
	*link = sandbox->next;
	engine->sandbox_count--;
	if (!engine->ids.single)
		ids_release(&engine->ids, sandbox->private_id);
	if (sandbox->state == STARTING)
		answer_failed_start(engine, sandbox);
	else
		send_exit_event(engine, sandbox);
	while (sandbox->execs) {
		struct pending_exec *exec = sandbox->execs;
		sandbox->execs = exec->next;
		if (exec->request) {
			refuse("exec", "the sandbox ended");
			reply_fault(engine, exec->request, "not_found");
		}
		free(exec);
	}
	while (sandbox->waiters) {
		struct waiter *waiter = sandbox->waiters;
		sandbox->waiters = waiter->next;
		reply_ok(engine, waiter->request);
		free(waiter);
	}
	free(sandbox);
}

static void read_reports(struct engine *engine, struct sandbox *sandbox);

/* Pid 1 is gone, and with it every process of the sandbox. */
static void process_ended(struct engine *engine, struct source *source)
{
	struct sandbox *sandbox = owner_of(source, struct sandbox, process);
	struct rusage usage;
	siginfo_t information;
	if (syscall(SYS_waitid, P_PIDFD, source->fd, &information, WEXITED, &usage))
		return;
	sandbox->cpu_us = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000LL +
	                  usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
	if (sandbox->commands.fd >= 0)
		read_reports(engine, sandbox);
	loop_unwatch(engine, &sandbox->process);
	loop_unwatch(engine, &sandbox->commands);
	loop_unwatch(engine, &sandbox->oom);
	sandbox->group.oom_event = -1; /* was the source's descriptor */
	sandbox->last = (struct usage){ -1, -1, -1, -1, -1 };
	if (engine->limits.mode->watch)
		sandbox->last.memory_peak = (int64_t)sandbox->group.peak;
	else
		engine->limits.mode->usage(&engine->limits, &sandbox->group, sandbox->pid,
		                           &sandbox->last);
	if (sandbox->egress)
		relay_forget(engine->relay, sandbox->id);
	if (limits_remove(&engine->limits, &sandbox->group))
		free_sandbox(engine, sandbox);
	else if (sandbox->state != STARTING)
		sandbox->state = LEAVING; /* sandbox_tick tries again */
}

/* The kernel met the memory limit (cgroup v1): one process may be dead, the rest must go too. */
static void memory_exceeded(struct engine *engine, struct source *source)
{
	struct sandbox *sandbox = owner_of(source, struct sandbox, oom);
	uint64_t count;
	(void)engine;
	if (read(source->fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
		return;
	sandbox->oom_seen = true;
	kill_sandbox(sandbox);
}

/* ---- reports of pid 1 ---- */

static void answer_create(struct engine *engine, struct sandbox *sandbox)
{
	size_t begin = frame_begin(&engine->out, sandbox->create_request);
	frame_field(&engine->out, "ok", "1");
	frame_field(&engine->out, "pid", "%d", sandbox->pid);
	frame_field(&engine->out, "uid", "%u", ids_host(&engine->ids, sandbox->private_id));
	frame_field(&engine->out, "cgroup", "%s",
	            sandbox->group.made ? sandbox->group.name : "");
	frame_field(&engine->out, "us_clone", "%llu", (unsigned long long)sandbox->clone_us);
	frame_field(&engine->out, "us_mounts", "%llu", (unsigned long long)sandbox->mounts_us);
	frame_field(&engine->out, "us_exec", "%llu", (unsigned long long)sandbox->exec_us);
	frame_end(&engine->out, begin);
}

static struct pending_exec **find_exec(struct sandbox *sandbox, uint32_t number)
{
	struct pending_exec **link = &sandbox->execs;
	while (*link && (*link)->number != number)
		link = &(*link)->next;
	return link;
}

static void end_exec(struct pending_exec **link)
{
	struct pending_exec *exec = *link;
	*link = exec->next;
	free(exec);
}

static void exec_report(struct engine *engine, struct sandbox *sandbox,
                        const struct report *report, pid_t sender)
{
	struct pending_exec **link = find_exec(sandbox, report->number), *exec = *link;
	if (!exec)
		return;
	if (report->type == REPORT_STARTING) {
		exec->pid = sender;
	} else if (report->type == REPORT_FAULT) {
		last_fault = report->fault;
		reply_fault(engine, exec->request, "exec_failed");
		end_exec(link);
	} else if (report->type == REPORT_STARTED) {
		size_t begin = frame_begin(&engine->out, exec->request);
		frame_field(&engine->out, "ok", "1");
		frame_field(&engine->out, "pid", "%d", exec->pid);
		frame_end(&engine->out, begin);
		exec->request = 0;
	} else if (report->type == REPORT_EXIT) {
		int status = (int)report->value;
		size_t begin = frame_begin(&engine->out, 0);
		frame_field(&engine->out, "event", "exec-exit");
		frame_field(&engine->out, "id", "%s", sandbox->id);
		frame_field(&engine->out, "exec", "%s", exec->name);
		frame_field(&engine->out, WIFSIGNALED(status) ? "signal" : "status", "%d",
		            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		frame_end(&engine->out, begin);
		end_exec(link);
	}
}

static void sandbox_report(struct engine *engine, struct sandbox *sandbox,
                           const struct report *report, const int fds[4])
{
	switch (report->type) {
	case REPORT_NET:
		/* Listening already: what connects before the relay looks waits in the backlog. */
		if (relay_send_sandbox(engine->relay, sandbox->id, fds, NET_TCP, fds + NET_TCP, NET_UDP))
			kill_sandbox(sandbox);
		sandbox->egress = true;
		break;
	case REPORT_MOUNTED:
		sandbox->mounts_us = (uint64_t)report->value;
		break;
	case REPORT_STARTED:
		sandbox->exec_us = (uint64_t)report->value;
		sandbox->state = RUNNING;
		answer_create(engine, sandbox);
		break;
	case REPORT_FAULT:
		sandbox->fault = report->fault;
		break;
	case REPORT_EXIT:
		sandbox->has_status = true;
		sandbox->status = (int)report->value;
		break;
	default:
		break;
	}
}

static pid_t sender_of(struct msghdr *message, int fds[4])
{
	pid_t pid = 0;
	size_t taken = 0;
	for (struct cmsghdr *header = CMSG_FIRSTHDR(message); header;
	     header = CMSG_NXTHDR(message, header)) {
		if (header->cmsg_level != SOL_SOCKET)
			continue;
		if (header->cmsg_type == SCM_CREDENTIALS) {
			struct ucred credentials;
			memcpy(&credentials, CMSG_DATA(header), sizeof(credentials));
			pid = credentials.pid;
		} else if (header->cmsg_type == SCM_RIGHTS) {
			size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
			for (size_t i = 0; i < count && taken < 4; i++, taken++)
				memcpy(&fds[taken], CMSG_DATA(header) + i * sizeof(int), sizeof(int));
		}
	}
	return pid;
}

/* One report of pid 1; false when there is none now. */
static bool read_report(struct engine *engine, struct sandbox *sandbox)
{
	union {
		char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(4 * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct report report;
	struct iovec part = { &report, sizeof(report) };
	struct msghdr message = { .msg_iov = &part,
		                      .msg_iovlen = 1,
		                      .msg_control = control.bytes,
		                      .msg_controllen = sizeof(control.bytes) };
	int fds[4] = { -1, -1, -1, -1 };
	ssize_t got = recvmsg(sandbox->commands.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0)
		return false;
	if (got == 0) {
		loop_unwatch(engine, &sandbox->commands);
		return false;
	}
	pid_t sender = sender_of(&message, fds);
	if (got == (ssize_t)sizeof(report)) {
		report.fault.step[sizeof(report.fault.step) - 1] = '\0';
		report.fault.message[sizeof(report.fault.message) - 1] = '\0';
		if (report.number)
			exec_report(engine, sandbox, &report, sender);
		else
			sandbox_report(engine, sandbox, &report, fds);
	}
	for (int i = 0; i < 4; i++)
		close_fd(&fds[i]);
	return true;
}

static void read_reports(struct engine *engine, struct sandbox *sandbox)
{
	while (sandbox->commands.fd >= 0 && read_report(engine, sandbox))
		;
}

static void commands_ready(struct engine *engine, struct source *source)
{
	read_reports(engine, owner_of(source, struct sandbox, commands));
}

/* ---- create ---- */

/* <name>/{upper,work}, owned by the sandbox's root. */
static int prepare_upper(struct engine *engine, const char *name)
{
	static const char *const parts[] = { "upper", "work" };
	uid_t owner = engine->ids.single ? 0 : LAYER_FIRST;
	if (mkdirat(engine->work, name, 0711) && errno != EEXIST)
		return fault("upper", "%s", name);
	cleanup_fd int fd = openat(engine->work, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0711))
		return fault("upper", "%s", name);
	for (size_t i = 0; i < ARRAY_LENGTH(parts); i++) {
		if (!mkdirat(fd, parts[i], 0755)) {
			if (fchownat(fd, parts[i], owner, owner, AT_SYMLINK_NOFOLLOW))
				return fault("upper", "%s/%s", name, parts[i]);
		} else if (errno != EEXIST) {
			return fault("upper", "%s/%s", name, parts[i]);
		}
	}
	return 0;
}

static int check_layers(struct engine *engine, const char *const *names, size_t count)
{
	struct stat status;
	for (size_t i = 0; i < count; i++) {
		if (fstatat(engine->layers, names[i], &status, AT_SYMLINK_NOFOLLOW))
			return fault("layer", "layer %s", names[i]);
		if (!S_ISDIR(status.st_mode))
			return refuse("layer", "layer %s is not a directory", names[i]);
	}
	return 0;
}

static int connect_streams(struct engine *engine, const struct spec *spec,
                           struct child_plan *plan)
{
	plan->control = plan->logs = -1;
	if (spec->control && (plan->control = connect_stream(engine, spec->control)) < 0)
		return -1;
	if (spec->logs && (plan->logs = connect_stream(engine, spec->logs)) < 0) {
		close_fd(&plan->control);
		return -1;
	}
	return 0;
}

static pid_t clone_sandbox(struct engine *engine, struct sandbox *sandbox)
{
	uint64_t flags = NAMESPACES | (engine->time_namespace ? CLONE_NEWTIME : 0);
	return spawn(flags, &sandbox->process.fd, sandbox->group.directory);
}

/* Clones, maps, and lets go. On failure nothing is left but the sandbox's own memory and group. */
static int start_child(struct engine *engine, struct sandbox *sandbox, struct child_plan *plan)
{
	const int on = 1;
	const struct command go = { .type = COMMAND_GO };
	int pair[2];
	uint64_t began = now_us();
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return fault("clone", "socketpair");
	plan->commands = pair[1];
	sandbox->pid = clone_sandbox(engine, sandbox);
	if (sandbox->pid == 0)
		sandbox_child(plan);
	close(pair[1]);
	sandbox->commands.fd = pair[0];
	/* An init that does not keep up must not hold up the loop. */
	fcntl(pair[0], F_SETFL, O_NONBLOCK);
	if (sandbox->pid < 0)
		return fault("clone", "clone3 of all namespaces");
	/* From here on the child's end is seen through its pidfd, whatever happens. */
	loop_watch(engine, &sandbox->process);
	if (ids_map_sandbox(&engine->ids, engine->procfd, sandbox->pid, plan->spec->profile,
	                    sandbox->private_id) ||
	    setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) ||
	    send_with_fds(pair[0], &go, sizeof(go), NULL, 0)) {
		sandbox->fault = last_fault;
		kill_sandbox(sandbox);
	}
	loop_watch(engine, &sandbox->commands);
	if (sandbox->group.oom_event >= 0) {
		sandbox->oom.fd = sandbox->group.oom_event;
		loop_watch(engine, &sandbox->oom);
	}
	sandbox->clone_us = now_us() - began;
	return 0;
}

static int start(struct engine *engine, struct sandbox *sandbox, const struct spec *spec)
{
	struct child_plan plan = { .spec = spec,
		                       .filters = &engine->filters,
		                       .limits = &engine->limits,
		                       .group = &sandbox->group,
		                       .landlock_abi = engine->landlock_abi,
		                       .single = engine->ids.single,
		                       .engine_pidfd = engine->self_pidfd };
	if (check_layers(engine, spec->layers, spec->layer_count) ||
	    check_layers(engine, spec->code_layers, spec->code_count) ||
	    (spec->upper && prepare_upper(engine, spec->upper)))
		return -1;
	if (limits_create(&engine->limits, &sandbox->group, spec))
		return -1;
	int bad = connect_streams(engine, spec, &plan);
	if (!bad) {
		bad = start_child(engine, sandbox, &plan);
		close_fd(&plan.control);
		close_fd(&plan.logs);
	}
	limits_close_handles(&sandbox->group);
	if (bad) {
		close_fd(&sandbox->commands.fd);
		limits_remove(&engine->limits, &sandbox->group);
	}
	return bad;
}

static struct sandbox *new_sandbox(const struct spec *spec)
{
	struct sandbox *sandbox = need_memory(sizeof(*sandbox));
	snprintf(sandbox->id, sizeof(sandbox->id), "%s", spec->id);
	sandbox->process = (struct source){ -1, process_ended };
	sandbox->commands = (struct source){ -1, commands_ready };
	sandbox->oom = (struct source){ -1, memory_exceeded };
	sandbox->last.oom_kills = -1;
	return sandbox;
}

/* The id that shows in the reply: a function's private one, a build's layer owner. */
static int take_id(struct engine *engine, struct sandbox *sandbox, enum profile profile)
{
	if (engine->ids.single)
		return 0;
	sandbox->private_id =
		profile == PROFILE_BUILD ? LAYER_FIRST : ids_take(&engine->ids);
	return sandbox->private_id ? 0
	                           : refuse("ids", "no private id is free (%u sandboxes)",
	                                    engine->sandbox_count);
}

void sandbox_create(struct engine *engine, struct message *message)
{
	struct spec spec = { 0 };
	struct sandbox *sandbox = NULL;
	const char *code = "bad_request";
	if (spec_parse(&spec, message))
		goto failed;
	code = "id_in_use";
	if (find(engine, spec.id)) {
		refuse("request", "a sandbox %s exists already", spec.id);
		goto failed;
	}
	code = "setup_failed";
	sandbox = new_sandbox(&spec);
	sandbox->create_request = message->id;
	if (take_id(engine, sandbox, spec.profile))
		goto failed;
	if (start(engine, sandbox, &spec)) {
		ids_release(&engine->ids, sandbox->private_id);
		code = !strcmp(last_fault.step, "layer") ? "layer_missing" : code;
		goto failed;
	}
	sandbox->next = engine->sandboxes;
	engine->sandboxes = sandbox;
	engine->sandbox_count++;
	spec_free(&spec);
	return;
failed:
	reply_fault(engine, message->id, code);
	free(sandbox);
	spec_free(&spec);
}

/* ---- requests for a sandbox that runs ---- */

static struct sandbox *find_running(struct engine *engine, const struct message *message)
{
	const char *id = message_get(message, "id");
	struct sandbox *sandbox = find(engine, id);
	if (sandbox && sandbox->state == RUNNING)
		return sandbox;
	refuse("request", "no sandbox %s runs here", id ? id : "(no id)");
	reply_fault(engine, message->id, "not_found");
	return NULL;
}

static int send_exec(struct engine *engine, struct sandbox *sandbox,
                     const struct message *message)
{
	struct command command = { .type = COMMAND_EXEC, .number = sandbox->exec_count + 1 };
	const char *token = message_get(message, "logs");
	cleanup_fd int body = memfd_create("exec", MFD_CLOEXEC);
	cleanup_fd int logs = -1;
	if (body < 0 || write_whole(body, message->body, message->length))
		return fault("exec", "request");
	if (token && (logs = connect_stream(engine, token)) < 0)
		return -1;
	int fds[2] = { body, logs };
	if (send_with_fds(sandbox->commands.fd, &command, sizeof(command), fds, logs < 0 ? 1 : 2))
		return fault("exec", "init does not listen");
	return 0;
}

void sandbox_exec(struct engine *engine, const struct message *message)
{
	const char *name = message_get(message, "exec");
	struct program program = { 0 };
	struct sandbox *sandbox = find_running(engine, message);
	if (!sandbox)
		return;
	int bad = program_parse(&program, message);
	program_free(&program);
	if (!name || !valid_name(name))
		bad = refuse("request", "exec is missing or not a name");
	if (bad || send_exec(engine, sandbox, message)) {
		reply_fault(engine, message->id, bad ? "bad_request" : "exec_failed");
		return;
	}
	struct pending_exec *exec = need_memory(sizeof(*exec));
	exec->number = ++sandbox->exec_count;
	exec->request = message->id;
	snprintf(exec->name, sizeof(exec->name), "%s", name);
	exec->next = sandbox->execs;
	sandbox->execs = exec;
}

void sandbox_signal(struct engine *engine, const struct message *message)
{
	struct command command = { .type = COMMAND_SIGNAL };
	const char *all = message_get(message, "all");
	uint64_t number = 0;
	struct sandbox *sandbox = find_running(engine, message);
	if (!sandbox)
		return;
	if (number_parse(message, "signal", &number) || number < 1 || number > 64) {
		refuse("request", "signal is not a number from 1 to 64");
		reply_fault(engine, message->id, "bad_request");
		return;
	}
	command.signal = (int)number;
	command.all = all && !strcmp(all, "1");
	if (send_with_fds(sandbox->commands.fd, &command, sizeof(command), NULL, 0)) {
		fault("signal", "init does not listen");
		reply_fault(engine, message->id, "not_found");
		return;
	}
	if (number == SIGKILL)
		sandbox->killed = true;
	reply_ok(engine, message->id);
}

static void engine_stats(struct engine *engine, const struct message *message)
{
	size_t begin = frame_begin(&engine->out, message->id);
	frame_field(&engine->out, "ok", "1");
	frame_field(&engine->out, "sandboxes", "%u", engine->sandbox_count);
	frame_field(&engine->out, "fds", "%d", count_fds(engine->procfd));
	frame_field(&engine->out, "children", "%u",
	            engine->sandbox_count + engine->job_count + (engine->relay_pid > 0));
	frame_end(&engine->out, begin);
}

void sandbox_stats(struct engine *engine, const struct message *message)
{
	struct usage usage = { -1, -1, -1, -1, -1 };
	if (!message_get(message, "id")) {
		engine_stats(engine, message);
		return;
	}
	struct sandbox *sandbox = find_running(engine, message);
	if (!sandbox)
		return;
	engine->limits.mode->usage(&engine->limits, &sandbox->group, sandbox->pid, &usage);
	const struct {
		const char *key;
		int64_t value;
	} fields[] = { { "memory", usage.memory },
		           { "memory_peak", usage.memory_peak },
		           { "cpu_us", usage.cpu_us },
		           { "pids", usage.pids },
		           { "oom_kills", usage.oom_kills } };
	size_t begin = frame_begin(&engine->out, message->id);
	frame_field(&engine->out, "ok", "1");
	for (size_t i = 0; i < ARRAY_LENGTH(fields); i++)
		if (fields[i].value >= 0)
			frame_field(&engine->out, fields[i].key, "%lld", (long long)fields[i].value);
	frame_end(&engine->out, begin);
}

void sandbox_destroy(struct engine *engine, const struct message *message)
{
	const char *id = message_get(message, "id");
	struct sandbox *sandbox = find(engine, id);
	if (!id) {
		refuse("request", "id is missing");
		reply_fault(engine, message->id, "bad_request");
		return;
	}
	if (!sandbox) {
		reply_ok(engine, message->id);
		return;
	}
	struct waiter *waiter = need_memory(sizeof(*waiter));
	waiter->request = message->id;
	waiter->next = sandbox->waiters;
	sandbox->waiters = waiter;
	/* A program that had ended already was not killed. */
	if (sandbox->state != LEAVING)
		sandbox->killed |= !sandbox->has_status;
	kill_sandbox(sandbox);
}

/* ---- time ---- */

bool sandbox_wants_ticks(const struct engine *engine)
{
	if (engine->limits.mode->watch && engine->sandboxes)
		return true;
	for (const struct sandbox *sandbox = engine->sandboxes; sandbox; sandbox = sandbox->next)
		if (sandbox->process.fd < 0)
			return true;
	return false;
}

void sandbox_tick(struct engine *engine)
{
	struct sandbox *next;
	for (struct sandbox *sandbox = engine->sandboxes; sandbox; sandbox = next) {
		next = sandbox->next;
		if (sandbox->process.fd < 0) {
			if (limits_remove(&engine->limits, &sandbox->group))
				free_sandbox(engine, sandbox);
		} else if (engine->limits.mode->watch) {
			engine->limits.mode->watch(&engine->limits, &sandbox->group, sandbox->pid);
			if (sandbox->group.over)
				kill_sandbox(sandbox);
		}
	}
}
