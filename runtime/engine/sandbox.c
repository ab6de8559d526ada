/*
 * The life of a sandbox as the engine sees it: what its pid 1 reports, and its
 * end, up to the moment when everything of it is freed.
 */
#define _GNU_SOURCE
#include "sandbox.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jobs.h"

static bool sandbox_oom(struct sandbox *sandbox)
{
	return sandbox->oom_seen || sandbox->group.over || sandbox->last.oom_kills > 0;
}

void sandbox_kill(struct engine *engine, struct sandbox *sandbox)
{
	if (sandbox->process.fd < 0)
		return;
	syscall(SYS_pidfd_send_signal, sandbox->process.fd, SIGKILL, NULL, 0);
	freeze_let_die(engine, sandbox);
}

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
	table_remove(engine, sandbox);
	if (!engine->ids.single)
		ids_release(&engine->ids, sandbox->private_id);
	if (sandbox->state == STARTING)
		answer_failed_start(engine, sandbox);
	else
		send_exit_event(engine, sandbox);
	pending_free(engine, sandbox);
	connect_free(engine, sandbox);
	volumes_free(engine, sandbox);
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
void sandbox_process_ended(struct engine *engine, struct source *source)
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
	held_release(sandbox);
	close_fd(&sandbox->mounts);
	close_fd(&sandbox->users);
	close_fd(&sandbox->code_mounts);
	close_fd(&sandbox->code_point);
	close_fd(&sandbox->tmp_point);
	close_fd(&sandbox->volume_mounts);
	close_fd(&sandbox->points);
	close_fd(&sandbox->secrets_point);
	sandbox->group.oom_event = -1; /* was the source's descriptor */
	sandbox->last = (struct usage){ -1, -1, -1, -1, -1, -1 };
	engine->limits.mode->usage(&engine->limits, &sandbox->group, sandbox->pid, true,
	                           &sandbox->last);
	if (sandbox->relayed)
		relay_forget(engine->relay, sandbox->id);
	limits_leave(&engine->limits, &sandbox->group);
	free_sandbox(engine, sandbox);
}

/* The kernel met the memory limit (cgroup v1): one process may be dead, the rest must go too. */
void sandbox_memory_exceeded(struct engine *engine, struct source *source)
{
	struct sandbox *sandbox = owner_of(source, struct sandbox, oom);
	uint64_t count;
	if (read(source->fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
		return;
	sandbox->oom_seen = true;
	sandbox_kill(engine, sandbox);
}

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
	if (sandbox->forked)
		frame_field(&engine->out, "forked", "1");
	if (*sandbox->not_forked.step)
		frame_field(&engine->out, "not_forked", "%s", sandbox->not_forked.message);
	frame_end(&engine->out, begin);
}

static void sandbox_report(struct engine *engine, struct sandbox *sandbox,
                           const struct report *report, int fds[4])
{
	switch (report->type) {
	case REPORT_NET:
		/* Listening already: what connects before the relay looks waits in the backlog. */
		if (relay_send_sandbox(engine->relay, sandbox->id, fds, NET_TCP, fds + NET_TCP, NET_UDP))
			sandbox_kill(engine, sandbox);
		sandbox->relayed = true;
		break;
	case REPORT_NAMESPACES:
		sandbox->mounts = fds[0];
		sandbox->users = fds[1];
		fds[0] = fds[1] = -1;
		break;
	case REPORT_CODE_POINT:
		sandbox->code_mounts = fds[0];
		sandbox->code_point = fds[1];
		sandbox->tmp_point = fds[2];
		sandbox->secrets_point = fds[3];
		fds[0] = fds[1] = fds[2] = fds[3] = -1;
		break;
	case REPORT_POINTS:
		sandbox->volume_mounts = fds[0];
		sandbox->points = fds[1];
		fds[0] = fds[1] = -1;
		break;
	case REPORT_VOLUMES:
		volumes_publish(engine, sandbox);
		break;
	case REPORT_MOUNTED:
		sandbox->mounts_us = (uint64_t)report->value;
		break;
	case REPORT_STARTED:
		sandbox->exec_us = (uint64_t)report->value;
		sandbox->state = RUNNING;
		answer_create(engine, sandbox);
		break;
	case REPORT_FORKED:
		sandbox->forked = report->value;
		sandbox->not_forked = report->fault;
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
	held_release(sandbox);
	for (int i = 0; i < 4; i++)
		park_fd(&fds[i]);
	if (got == (ssize_t)sizeof(report)) {
		report.fault.step[sizeof(report.fault.step) - 1] = '\0';
		report.fault.message[sizeof(report.fault.message) - 1] = '\0';
		if (report.number)
			pending_report(engine, sandbox, &report, sender, fds[0]);
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

void sandbox_commands_ready(struct engine *engine, struct source *source)
{
	read_reports(engine, owner_of(source, struct sandbox, commands));
}
