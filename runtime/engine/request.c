#define _GNU_SOURCE
#include "request.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define STEP "request"
#define HOSTNAME_LENGTH 64 /* the kernel's __NEW_UTS_LEN */

int number_parse(const struct message *message, const char *key, uint64_t *value)
{
	const char *text = message_get(message, key);
	char *end;
	if (!text)
		return 0;
	errno = 0;
	unsigned long long number = strtoull(text, &end, 10);
	if (errno || *end || end == text || *text < '0' || *text > '9')
		return refuse(STEP, "%s is not a number: \"%.32s\"", key, text);
	*value = number;
	return 0;
}

static int parse_id(const char **at, uint32_t *id)
{
	char *end;
	errno = 0;
	unsigned long long number = strtoull(*at, &end, 10);
	if (errno || **at < '0' || **at > '9' || number >= UINT32_MAX || (*end && *end != ':'))
		return -1;
	*id = (uint32_t)number;
	*at = end;
	return 0;
}

/* UID:GID[:GID...] */
static int parse_user(struct user *user, const struct message *message)
{
	const char *text = message_get(message, "user");
	const char *at = text;
	*user = (struct user){ .given = text != NULL };
	if (!text)
		return 0;
	if (parse_id(&at, &user->uid) || *at++ != ':' || parse_id(&at, &user->gid))
		return refuse(STEP, "user is not uid:gid: \"%.64s\"", text);
	while (*at++ == ':') {
		if (user->group_count == MAX_GROUPS)
			return refuse(STEP, "user has more than %d groups", MAX_GROUPS);
		if (parse_id(&at, &user->groups[user->group_count++]))
			return refuse(STEP, "user has a group that is no number: \"%.64s\"", text);
	}
	return 0;
}

static int parse_token(const char **token, const struct message *message, const char *key)
{
	*token = message_get(message, key);
	if (*token && (!**token || strlen(*token) > 200 || strpbrk(*token, "\n\r")))
		return refuse(STEP, "%s is not a token", key);
	return 0;
}

int window_parse(struct window *window, const struct message *message)
{
	const char *text = message_get(message, "terminal");
	const char *at = text;
	char *end;
	*window = (struct window){ .given = text != NULL };
	for (int i = 0; text && i < 2; i++) {
		unsigned long number = strtoul(at, &end, 10);
		if (*at < '0' || *at > '9' || number > UINT16_MAX || *end != (i ? '\0' : 'x'))
			return refuse(STEP, "terminal is not ROWSxCOLUMNS: \"%.32s\"", text);
		*(i ? &window->columns : &window->rows) = (uint16_t)number;
		at = end + 1;
	}
	return 0;
}

int program_parse(struct program *program, const struct message *message, bool may_park)
{
	size_t count;
	program->argv = message_all(message, "arg", &count);
	if (count == 0 ? !may_park : !*program->argv[0])
		return refuse(STEP, "arg is missing: there is no program to run");
	program->envp = message_all(message, "env", &count);
	for (size_t i = 0; i < count; i++)
		if (!strchr(program->envp[i], '=') || *program->envp[i] == '=')
			return refuse(STEP, "env is not NAME=value: \"%.64s\"", program->envp[i]);
	program->cwd = message_get(message, "cwd");
	if (!program->cwd)
		program->cwd = "/";
	if (*program->cwd != '/')
		return refuse(STEP, "cwd is not an absolute path: \"%.128s\"", program->cwd);
	if (parse_token(&program->logs, message, "logs") ||
	    parse_token(&program->input, message, "stdin") ||
	    window_parse(&program->terminal, message))
		return -1;
	return parse_user(&program->user, message);
}

void program_free(struct program *program)
{
	free(program->argv);
	free(program->envp);
}

static int check_names(const char *key, const char *const *names, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (!valid_name(names[i]))
			return refuse(STEP, "%s is not a name: \"%.64s\"", key, names[i]);
	return 0;
}

static int parse_mounts(struct spec *spec, const struct message *message)
{
	cleanup_free const char **texts = message_all(message, "mount-ro", &spec->mount_count);
	spec->mounts = need_array(spec->mount_count, sizeof(*spec->mounts));
	for (size_t i = 0; i < spec->mount_count; i++) {
		const char *colon = strchr(texts[i], ':');
		char name[NAME_LENGTH + 1] = "";
		size_t length = colon ? (size_t)(colon - texts[i]) : sizeof(name);
		if (length < sizeof(name))
			memcpy(name, texts[i], length);
		if (!valid_name(name) || colon[1] != '/')
			return refuse(STEP, "mount-ro is not name:/path: \"%.128s\"", texts[i]);
		spec->mounts[i] = (struct file_mount){ texts[i], length, colon + 1 };
	}
	return 0;
}

bool path_climbs(const char *path)
{
	for (const char *at = path; (at = strstr(at, "..")); at++)
		if (at[-1] == '/' && (!at[2] || at[2] == '/'))
			return true;
	return false;
}

/* NAME:ro|rw:/PATH */
static int parse_volumes(struct spec *spec, const struct message *message)
{
	cleanup_free const char **texts = message_all(message, "volume", &spec->volume_count);
	spec->volumes = need_array(spec->volume_count, sizeof(*spec->volumes));
	if (spec->volume_count && spec->profile == PROFILE_FUNCTION)
		return refuse(STEP, "volume is for builds and containers only");
	for (size_t i = 0; i < spec->volume_count; i++) {
		struct volume_mount *volume = &spec->volumes[i];
		size_t length = strcspn(texts[i], ":");
		const char *mode = texts[i] + length;
		if (length < sizeof(volume->name))
			memcpy(volume->name, texts[i], length);
		volume->read_only = !strncmp(mode, ":ro:", 4);
		volume->path = mode + 4;
		if (!valid_name(volume->name) || (!volume->read_only && strncmp(mode, ":rw:", 4)) ||
		    *volume->path != '/' || !volume->path[1] || path_climbs(volume->path))
			return refuse(STEP, "volume is not name:ro:/path or name:rw:/path: \"%.128s\"",
			              texts[i]);
	}
	return 0;
}

/* Of the image, or of the engine: a link over these would take away what the program needs. */
static bool is_taken(const char *path)
{
	static const char *const taken[] = { "bin",  "dev", "etc", "function", "lib",   "lib32", "lib64",
		                                 "proc", "run", "sbin", "sys",     "tmp",   ".volumes", ".wafer" };
	for (size_t i = 0; i < ARRAY_LENGTH(taken); i++) {
		size_t length = strlen(taken[i]);
		if (!strncmp(path + 1, taken[i], length) && (!path[1 + length] || path[1 + length] == '/'))
			return true;
	}
	return false;
}

/* Plain: no empty part, no dot parts, nothing at its end. */
static bool is_plain(const char *path)
{
	size_t length = strlen(path);
	return *path == '/' && length > 1 && length < 256 && path[length - 1] != '/' &&
	       !strstr(path, "//") && !strstr(path, "/./") && !path_climbs(path) &&
	       strcmp(path + length - 2, "/.") != 0;
}

/* One that lies below another would be a link in a link. */
static int parse_points(struct spec *spec, const struct message *message)
{
	spec->points = message_all(message, "point", &spec->point_count);
	if (spec->point_count && (spec->profile != PROFILE_FUNCTION || spec->upper))
		return refuse(STEP, "point is for functions without upper");
	if (spec->point_count > MAX_POINTS)
		return refuse(STEP, "%zu points are more than %d", spec->point_count, MAX_POINTS);
	for (size_t i = 0; i < spec->point_count; i++) {
		const char *point = spec->points[i];
		if (!is_plain(point) || is_taken(point))
			return refuse(STEP, "point is no place for a volume: \"%.128s\"", point);
		for (size_t other = 0; other < spec->point_count; other++) {
			size_t length = strlen(spec->points[other]);
			if (other != i && !strncmp(point, spec->points[other], length) &&
			    (!point[length] || point[length] == '/'))
				return refuse(STEP, "point lies in another one: \"%.128s\"", point);
		}
	}
	return 0;
}

static int parse_numbers(struct spec *spec, const struct message *message)
{
	if (number_parse(message, "memory", &spec->memory) ||
	    number_parse(message, "pids", &spec->pids) || number_parse(message, "cpu", &spec->cpu) ||
	    number_parse(message, "tmp", &spec->tmp) ||
	    number_parse(message, "tmp-inodes", &spec->tmp_inodes) ||
	    number_parse(message, "nofile", &spec->nofile) ||
	    number_parse(message, "fsize", &spec->fsize))
		return -1;
	return 0;
}

static int parse_profile(struct spec *spec, const struct message *message)
{
	const char *profile = message_get(message, "profile");
	const char *net = message_get(message, "net");
	if (profile && !strcmp(profile, "function"))
		spec->profile = PROFILE_FUNCTION;
	else if (profile && !strcmp(profile, "build"))
		spec->profile = PROFILE_BUILD;
	else if (profile && !strcmp(profile, "container"))
		spec->profile = PROFILE_CONTAINER;
	else
		return refuse(STEP, "profile is none of function, build and container");
	if (net && strcmp(net, "none") && strcmp(net, "egress"))
		return refuse(STEP, "net is neither none nor egress");
	spec->egress = net && !strcmp(net, "egress");
	return 0;
}

static int parse_hostname(struct spec *spec, const struct message *message)
{
	const char *name = spec->hostname = message_get(message, "hostname");
	/* Also goes into /etc/hosts: nothing but letters, digits, dots and dashes. */
	if (name && (!valid_name(name) || strlen(name) > HOSTNAME_LENGTH || strchr(name, '_')))
		return refuse(STEP, "hostname is no host name of at most %d characters: \"%.80s\"",
		              HOSTNAME_LENGTH, name);
	return 0;
}

static int parse_zygote(struct spec *spec, const struct message *message)
{
	const struct program *program = &spec->program;
	spec->zygote = message_get(message, "zygote");
	if (!spec->zygote)
		return 0;
	if (check_names("zygote", &spec->zygote, 1))
		return -1;
	if (spec->profile != PROFILE_FUNCTION || spec->upper || !spec->control || !program->argv[0] ||
	    program->input || program->terminal.given)
		return refuse(STEP, "zygote is for functions with a program and control, without upper, "
		                    "stdin and terminal");
	return 0;
}

int spec_parse(struct spec *spec, const struct message *message)
{
	spec->id = message_get(message, "id");
	spec->upper = message_get(message, "upper");
	spec->hosts = message_get(message, "hosts");
	spec->resolv = message_get(message, "resolv");
	spec->layers = message_all(message, "layer", &spec->layer_count);
	spec->code_layers = message_all(message, "code-layer", &spec->code_count);
	if (!spec->id || check_names("id", &spec->id, 1))
		return refuse(STEP, "id is missing or not a name");
	if (spec->layer_count == 0)
		return refuse(STEP, "layer is missing: there is no root file system");
	if (spec->layer_count + spec->code_count > MAX_LAYERS)
		return refuse(STEP, "%zu layers are more than %d", spec->layer_count + spec->code_count,
		              MAX_LAYERS);
	if (check_names("layer", spec->layers, spec->layer_count) ||
	    check_names("code-layer", spec->code_layers, spec->code_count) ||
	    (spec->upper && check_names("upper", &spec->upper, 1)))
		return -1;
	if (parse_profile(spec, message) || parse_hostname(spec, message) ||
	    parse_token(&spec->control, message, "control") || parse_numbers(spec, message) ||
	    parse_mounts(spec, message) || parse_volumes(spec, message) || parse_points(spec, message))
		return -1;
	if (secrets_parse(&spec->secrets, message) || program_parse(&spec->program, message, true))
		return -1;
	if (spec->secrets.count && spec->profile != PROFILE_FUNCTION)
		return refuse(STEP, "secret is for functions only");
	return parse_zygote(spec, message);
}

void spec_free(struct spec *spec)
{
	free(spec->layers);
	free(spec->code_layers);
	free(spec->mounts);
	free(spec->volumes);
	free(spec->points);
	secrets_free(&spec->secrets);
	program_free(&spec->program);
}
