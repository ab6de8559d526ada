/*
 * Attach: a function's sandbox that runs without code gets it, and the limits that go with
 * it, once, and its secrets. Pid 1 is confined by then and could not mount anything, and it can not be
 * looked into from outside; so while it still could, it handed over its mount namespace,
 * its empty /function, its /tmp and its /run/secrets (child.c). The trees are made in the engine's own namespaces,
 * as those of the sandbox may have no more of them, and carried over by the engine itself: it
 * steps into the sandbox's mounts for one system call that looks no path up. The size of
 * /tmp belongs to its file system and is changed from here.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>

#include "mounts.h"
#include "sandbox.h"

#define STEP "attach"

struct attachment {
	const char **layers;
	size_t count;
	struct secrets secrets;
	struct shares shares;
	uint64_t tmp, nofile, fsize; /* 0: as it is */
};

static int parse(struct attachment *attachment, const struct message *message)
{
	struct shares *shares = &attachment->shares;
	attachment->layers = message_all(message, "code-layer", &attachment->count);
	if (attachment->count < 1 || attachment->count > MAX_ATTACHED_LAYERS)
		return refuse("request", "code-layer is there %zu times, not 1 to %d times",
		              attachment->count, MAX_ATTACHED_LAYERS);
	for (size_t i = 0; i < attachment->count; i++)
		if (!valid_name(attachment->layers[i]))
			return refuse("request", "code-layer is not a name: \"%.64s\"",
			              attachment->layers[i]);
	if (secrets_parse(&attachment->secrets, message) ||
	    number_parse(message, "memory", &shares->memory) ||
	    number_parse(message, "pids", &shares->pids) ||
	    number_parse(message, "cpu", &shares->cpu) ||
	    number_parse(message, "tmp", &attachment->tmp) ||
	    number_parse(message, "nofile", &attachment->nofile) ||
	    number_parse(message, "fsize", &attachment->fsize))
		return -1;
	return 0;
}

/* A code after saying why it can not be; NULL when it can. */
static const char *refusal(const struct sandbox *sandbox, const struct attachment *attachment)
{
	if (sandbox->attached) {
		refuse(STEP, "sandbox %s had code attached before", sandbox->id);
		return "already_attached";
	}
	if (sandbox->code_point < 0) {
		refuse("request", "sandbox %s is no function with an empty, read-only /function",
		       sandbox->id);
		return "bad_request";
	}
	/* Each process has its own, which nobody may raise. */
	if (sandbox->pids && attachment->shares.pids > sandbox->pids) {
		refuse("request", "pids can not be raised, from %llu to %llu",
		       (unsigned long long)sandbox->pids, (unsigned long long)attachment->shares.pids);
		return "bad_request";
	}
	return NULL;
}

static int move_into(struct engine *engine, const struct sandbox *sandbox, int tree, int point,
                     const char *path)
{
	if (setns(sandbox->code_mounts, CLONE_NEWNS))
		return fault(STEP, "the mounts of sandbox %s", sandbox->id);
	int bad = move_mount(tree, "", point, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
	                  ? fault(STEP, "%s of sandbox %s", path, sandbox->id)
	                  : 0;
	mounts_return(engine);
	return bad;
}

static int give_secrets(struct engine *engine, const struct sandbox *sandbox,
                        const struct secrets *secrets)
{
	if (secrets->count == 0)
		return 0;
	cleanup_fd int tree = secrets_tree(secrets, sandbox->private_id);
	return tree < 0 ? -1
	                : move_into(engine, sandbox, tree, sandbox->secrets_point, "/run/secrets");
}

/* To less than what is in it is refused by the kernel. */
static int resize_tmp(const struct sandbox *sandbox, uint64_t size)
{
	char text[24];
	if (size == 0)
		return 0;
	snprintf(text, sizeof(text), "%llu", (unsigned long long)size);
	cleanup_fd int context =
		fspick(sandbox->tmp_point, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);
	if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "size", text, 0) ||
	    fsconfig(context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0))
		return fault(STEP, "%s bytes for /tmp of sandbox %s", text, sandbox->id);
	return 0;
}

static int attach(struct engine *engine, struct sandbox *sandbox,
                  const struct attachment *attachment)
{
	if (limits_change(&engine->limits, &sandbox->group, sandbox->pid, &attachment->shares) ||
	    rlimits_lower(engine->procfd, sandbox->pid, attachment->nofile, attachment->fsize))
		return -1;
	if (sandbox->group.oom_event >= 0 && sandbox->oom.fd < 0) {
		sandbox->oom.fd = sandbox->group.oom_event;
		loop_watch(engine, &sandbox->oom);
	}
	if (resize_tmp(sandbox, attachment->tmp) ||
	    give_secrets(engine, sandbox, &attachment->secrets))
		return -1;
	cleanup_fd int tree = code_tree(attachment->layers, attachment->count);
	return tree < 0 ? -1
	                : move_into(engine, sandbox, tree, sandbox->code_point, "/function");
}

static void answer(struct engine *engine, uint32_t request, uint64_t began)
{
	size_t begin = frame_begin(&engine->out, request);
	frame_field(&engine->out, "ok", "1");
	frame_field(&engine->out, "us_attach", "%llu", (unsigned long long)(now_us() - began));
	frame_end(&engine->out, begin);
}

void sandbox_attach(struct engine *engine, const struct message *message)
{
	struct attachment attachment = { 0 };
	uint64_t began = now_us();
	struct sandbox *sandbox = sandbox_find_running(engine, message);
	if (!sandbox)
		return;
	const char *code = parse(&attachment, message) ? "bad_request" : refusal(sandbox, &attachment);
	if (!code && check_layers(engine, attachment.layers, attachment.count))
		code = "layer_missing";
	if (!code) {
		/* From here on it may be half done: the next one would find something else than nothing. */
		sandbox->attached = true;
		if (attach(engine, sandbox, &attachment))
			code = "attach_failed";
		close_fd(&sandbox->code_mounts);
		close_fd(&sandbox->code_point);
		close_fd(&sandbox->tmp_point);
		close_fd(&sandbox->secrets_point);
	}
	if (code)
		reply_fault(engine, message->id, code);
	else
		answer(engine, message->id, began);
	free(attachment.layers);
	secrets_free(&attachment.secrets);
}
