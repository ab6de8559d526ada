/* INIT: what to start, and in which environment. */
#include "wafer-http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DEFAULT_PORT = 8080, MAX_LIST = 4096 };

static const char *const KEPT_ENV[] = {"PATH", "HOME", "TMPDIR", "LANG", "TZ"};

static void list_add(char ***list, size_t *n, char *item)
{
	char **grown = realloc(*list, (*n + 2) * sizeof *grown);
	if (!grown)
		die("out of memory for the settings");
	*list = grown;
	grown[(*n)++] = item;
	grown[*n] = NULL;
}

static char *pair(const char *name, const char *value)
{
	struct buf b = {0};
	buf_fmt(&b, "%s=%s", name, value);
	buf_add(&b, "", 1);
	return b.data;
}

static bool env_has(char **env, const char *name)
{
	size_t n = strlen(name);
	for (; env && *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return true;
	return false;
}

static void parse_env(struct json *j, struct settings *s, size_t *n)
{
	bool first = true;
	json_enter(j, '{');
	while (json_more(j, '}', &first) && *n < MAX_LIST) {
		char *name = json_key(j), *value = json_string(j);
		if (strcmp(name, "PORT") == 0)
			s->port = atoi(value);
		if (*name && !strchr(name, '=') && strcmp(name, "WAFER_FUNCTION") != 0 && strcmp(name, "WAFER_VERSION") != 0)
			list_add(&s->env, n, pair(name, value));
		free(name);
		free(value);
	}
}

static void complete_env(struct settings *s, size_t n)
{
	char number[32];
	for (size_t i = 0; i < sizeof KEPT_ENV / sizeof *KEPT_ENV; i++)
		if (getenv(KEPT_ENV[i]) && !env_has(s->env, KEPT_ENV[i]))
			list_add(&s->env, &n, pair(KEPT_ENV[i], getenv(KEPT_ENV[i])));
	snprintf(number, sizeof number, "%lld", s->version);
	if (!env_has(s->env, "PORT")) {
		s->port = DEFAULT_PORT;
		list_add(&s->env, &n, pair("PORT", "8080"));
	}
	list_add(&s->env, &n, pair("WAFER_FUNCTION", s->name ? s->name : ""));
	list_add(&s->env, &n, pair("WAFER_VERSION", number));
}

static void parse_command(struct json *j, struct settings *s, size_t *n)
{
	bool first = true;
	json_enter(j, '[');
	while (json_more(j, ']', &first) && *n < MAX_LIST)
		list_add(&s->argv, n, json_string(j));
}

struct settings *settings_parse(const char *json, size_t n)
{
	struct settings *s = xmalloc(sizeof *s);
	struct json j = {json, json + n, false};
	size_t args = 0, vars = 0;
	bool first = true;
	json_enter(&j, '{');
	while (json_more(&j, '}', &first)) {
		char *key = json_key(&j);
		if (strcmp(key, "functionName") == 0)
			s->name = json_string(&j);
		else if (strcmp(key, "codePath") == 0)
			s->code_path = json_string(&j);
		else if (strcmp(key, "version") == 0)
			s->version = json_integer(&j);
		else if (strcmp(key, "maxResultBytes") == 0)
			s->max_result = json_integer(&j);
		else if (strcmp(key, "env") == 0)
			parse_env(&j, s, &vars);
		else if (strcmp(key, "command") == 0)
			parse_command(&j, s, &args);
		else
			json_skip(&j, 0);
		free(key);
	}
	complete_env(s, vars);
	return j.bad || !s->code_path || s->port < 1 || s->port > 65535 ? NULL : s;
}
