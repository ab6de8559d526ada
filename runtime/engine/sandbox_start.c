/* Making a sandbox: checks, group, connections, clone3, id maps, go. The child goes on in child.c. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox.h"
#include "zygote.h"

#define NAMESPACES                                                                             \
	(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS)

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

int check_layers(const struct engine *engine, const char *const *names, size_t count)
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
	const struct {
		const char *token;
		int *fd;
	} streams[] = { { spec->control, &plan->control },
		            { spec->program.logs, &plan->logs },
		            { spec->program.input, &plan->input } };
	for (size_t i = 0; i < ARRAY_LENGTH(streams); i++)
		if (streams[i].token &&
		    (*streams[i].fd = connect_stream(engine, streams[i].token)) < 0)
			return -1;
	return 0;
}

void held_release(struct sandbox *sandbox)
{
	for (size_t i = 0; i < ARRAY_LENGTH(sandbox->held); i++)
		close_fd(&sandbox->held[i]);
}

/*
 * The child shares the engine's descriptors until it has taken its own of them (child.c):
 * these stay open until it reports.
 */
static void hold(struct sandbox *sandbox, const struct child_plan *plan)
{
	const int fds[] = { plan->commands, plan->control, plan->logs,
		                plan->input,    plan->places,  plan->zygote };
	memcpy(sandbox->held, fds, sizeof(fds));
	memcpy(sandbox->held + ARRAY_LENGTH(fds), sandbox->group.tasks,
	       sizeof(sandbox->group.tasks));
	for (int i = 0; i < V1_CONTROLLERS; i++)
		sandbox->group.tasks[i] = -1;
}

/*
 * Into an empty mount namespace, and a net namespace that was made ahead or is made now; the
 * engine itself is back in its own when this returns.
 */
static pid_t clone_sandbox(struct engine *engine, struct sandbox *sandbox,
                           struct child_plan *plan)
{
	uint64_t flags = CLONE_FILES | NAMESPACES | (engine->time_namespace ? CLONE_NEWTIME : 0);
	if (setns(engine->bare, CLONE_NEWNS))
		return fault("clone", "setns");
	plan->has_network = plan->spec->profile == PROFILE_FUNCTION && !plan->spec->egress &&
	                    net_stock_enter(engine);
	if (!plan->has_network)
		flags |= CLONE_NEWNET;
	pid_t pid = spawn(flags, &sandbox->process.fd, sandbox->group.directory);
	if (pid == 0) {
		buffer_wipe(&engine->in);
		sandbox_child(plan);
	}
	if (pid < 0)
		fault("clone", "clone3 of all namespaces");
	if (plan->has_network)
		net_stock_return(engine);
	mounts_return(engine);
	return pid;
}

/* Clones, maps, and lets go. On failure nothing is left but the sandbox's own memory and group. */
static int start_child(struct engine *engine, struct sandbox *sandbox, struct child_plan *plan)
{
	const int on = 1;
	const struct command go = { .type = COMMAND_GO };
	int pair[2];
	uint64_t began = now_us();
	plan->places = open_tree(AT_FDCWD, "/w", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (plan->places < 0)
		return fault("clone", "open_tree");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return fault("clone", "socketpair");
	plan->commands = pair[1];
	sandbox->commands.fd = pair[0];
	park_fd(&sandbox->commands.fd);
	/* An init that does not keep up must not hold up the loop. */
	fcntl(sandbox->commands.fd, F_SETFL, O_NONBLOCK);
	sandbox->pid = clone_sandbox(engine, sandbox, plan);
	if (sandbox->pid < 0)
		return -1;
	park_fd(&sandbox->process.fd);
	/* From here on the child's end is seen through its pidfd, whatever happens. */
	loop_watch(engine, &sandbox->process);
	if (ids_map_sandbox(&engine->ids, engine->procfd, sandbox->pid, plan->spec->profile,
	                    sandbox->private_id) ||
	    setsockopt(sandbox->commands.fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) ||
	    send_with_fds(sandbox->commands.fd, &go, sizeof(go), NULL, 0)) {
		sandbox->fault = last_fault;
		sandbox_kill(engine, sandbox);
	}
	loop_watch(engine, &sandbox->commands);
	if (sandbox->group.oom_event >= 0) {
		sandbox->oom.fd = sandbox->group.oom_event;
		loop_watch(engine, &sandbox->oom);
	}
	sandbox->clone_us = now_us() - began;
	return 0;
}

static int start(struct engine *engine, struct sandbox *sandbox, struct spec *spec)
{
	struct child_plan plan = { .spec = spec,
		                       .filters = &engine->filters,
		                       .limits = &engine->limits,
		                       .group = &sandbox->group,
		                       .landlock_abi = engine->landlock_abi,
		                       .single = engine->ids.single,
		                       .engine_pidfd = engine->self_pidfd,
		                       .commands = -1,
		                       .control = -1,
		                       .logs = -1,
		                       .input = -1,
		                       .places = -1,
		                       .zygote = -1 };
	if (check_layers(engine, spec->layers, spec->layer_count) ||
	    check_layers(engine, spec->code_layers, spec->code_count) ||
	    (spec->upper && prepare_upper(engine, spec->upper)))
		return -1;
	if (volumes_prepare(engine, sandbox, spec) ||
	    limits_create(&engine->limits, &sandbox->group, spec))
		return -1;
	plan.zygote = zygote_socket(engine, spec->zygote);
	int bad = (plan.zygote >= 0 && limits_open_tasks(&sandbox->group)) ||
	          connect_streams(engine, spec, &plan) || start_child(engine, sandbox, &plan);
	hold(sandbox, &plan);
	close_fd(&sandbox->group.directory);
	if (bad) {
		held_release(sandbox);
		close_fd(&sandbox->commands.fd);
		limits_leave(&engine->limits, &sandbox->group);
	}
	return bad ? -1 : 0;
}

static struct sandbox *new_sandbox(const struct spec *spec)
{
	struct sandbox *sandbox = need_memory(sizeof(*sandbox));
	snprintf(sandbox->id, sizeof(sandbox->id), "%s", spec->id);
	sandbox->process = (struct source){ -1, sandbox_process_ended };
	sandbox->commands = (struct source){ -1, sandbox_commands_ready };
	sandbox->oom = (struct source){ -1, sandbox_memory_exceeded };
	sandbox->mounts = sandbox->users = -1;
	sandbox->code_mounts = sandbox->code_point = -1;
	sandbox->tmp_point = sandbox->secrets_point = -1;
	sandbox->volume_mounts = sandbox->points = -1;
	sandbox->point_count = (unsigned)spec->point_count;
	for (size_t i = 0; i < ARRAY_LENGTH(sandbox->held); i++)
		sandbox->held[i] = -1;
	sandbox->pids = spec->pids;
	sandbox->last.oom_kills = -1;
	sandbox->profile = spec->profile;
	sandbox->parked = !spec->program.argv[0];
	sandbox->terminal = spec->program.terminal.given;
	return sandbox;
}

/* The id that shows in the reply: a function's private one, or that of volumes; otherwise the layer owner. */
static int take_id(struct engine *engine, struct sandbox *sandbox, const struct spec *spec)
{
	if (engine->ids.single)
		return 0;
	sandbox->private_id = spec->profile != PROFILE_FUNCTION ? LAYER_FIRST
	                      : spec->point_count               ? VOLUME_ID
	                                                        : ids_take(&engine->ids);
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
	if (sandbox_find(engine, spec.id)) {
		refuse("request", "a sandbox %s exists already", spec.id);
		goto failed;
	}
	code = "setup_failed";
	sandbox = new_sandbox(&spec);
	sandbox->create_request = message->id;
	if (take_id(engine, sandbox, &spec))
		goto failed;
	if (start(engine, sandbox, &spec)) {
		ids_release(&engine->ids, sandbox->private_id);
		code = !strcmp(last_fault.step, "layer") ? "layer_missing" : code;
		goto failed;
	}
	table_add(engine, sandbox);
	spec_free(&spec);
	return;
failed:
	reply_fault(engine, message->id, code);
	if (sandbox)
		volumes_free(engine, sandbox);
	free(sandbox);
	spec_free(&spec);
}
