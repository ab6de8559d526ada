/*
 * What a fork server for Node needs, and Node does not have: a fork that takes V8's heap along
 * (V8 marks it MADV_DONTFORK) and tells libuv. Only for the experiment here; no part of Wafer.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of node_api.h and uv.h, which a machine with Node need not have. */
typedef void *napi_env, *napi_value, *napi_callback_info;
typedef napi_value (*napi_callback)(napi_env, napi_callback_info);
int napi_create_function(napi_env, const char *, size_t, napi_callback, void *, napi_value *);
int napi_set_named_property(napi_env, napi_value, const char *, napi_value);
int napi_create_int32(napi_env, int, napi_value *);
int napi_get_cb_info(napi_env, napi_callback_info, size_t *, napi_value *, napi_value *, void **);
int napi_get_value_int32(napi_env, napi_value, int *);
int napi_get_uv_event_loop(napi_env, void **);
int uv_loop_fork(void *);

static napi_value number(napi_env env, int value)
{
	napi_value result;
	napi_create_int32(env, value, &result);
	return result;
}

/* 0 where it is not given. */
static int argument(napi_env env, napi_callback_info info, size_t at)
{
	size_t count = 2;
	napi_value values[2];
	int result = 0;
	napi_get_cb_info(env, info, &count, values, NULL, NULL);
	napi_get_value_int32(env, values[at], &result);
	return result;
}

/* Also marks what may not be: what the kernel refuses (special mappings) a fork has anyway. */
static void copy_all_on_fork(void)
{
	unsigned long from, to;
	char line[4096];
	FILE *maps = fopen("/proc/self/maps", "re");
	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &from, &to) == 2)
			madvise((void *)from, to - from, MADV_DOFORK);
	if (maps)
		fclose(maps);
}

/* fork(whole): 1 with V8's heap, 0 as V8 wants it. In one call: a step of JavaScript between could map more. */
static napi_value do_fork(napi_env env, napi_callback_info info)
{
	static const struct rlimit none;
	void *loop;
	if (argument(env, info, 0))
		copy_all_on_fork();
	int pid = fork();
	if (pid == 0)
		setrlimit(RLIMIT_CORE, &none); /* it is likely to crash */
	if (pid == 0 && !napi_get_uv_event_loop(env, &loop))
		uv_loop_fork(loop);
	return number(env, pid);
}

static napi_value do_exit(napi_env env, napi_callback_info info)
{
	_exit(argument(env, info, 0));
}

/* wait(pid, block): -1 while it runs, else its wait status. */
static napi_value do_wait(napi_env env, napi_callback_info info)
{
	int status, pid = argument(env, info, 0);
	int how = argument(env, info, 1) ? 0 : WNOHANG;
	return number(env, waitpid(pid, &status, how) == pid ? status : -1);
}

napi_value napi_register_module_v1(napi_env env, napi_value exports)
{
	static const struct {
		const char *name;
		napi_callback call;
	} functions[] = { { "fork", do_fork }, { "exit", do_exit }, { "wait", do_wait } };
	for (size_t i = 0; i < 3; i++) {
		napi_value function;
		napi_create_function(env, functions[i].name, (size_t)-1, functions[i].call, NULL, &function);
		napi_set_named_property(env, exports, functions[i].name, function);
	}
	return exports;
}

int node_api_module_get_api_version_v1(void);
int node_api_module_get_api_version_v1(void)
{
	return 8;
}
