#define _GNU_SOURCE
#include "driver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 60000

void check_at(bool good, const char *file, int line, const char *condition, const char *format, ...)
{
	va_list arguments;
	if (good)
		return;
	fprintf(stderr, "%s:%d: not so: %s: ", file, line, condition);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, " (errno: %s)\n", strerror(errno));
	exit(1);
}

const char *field(const struct message *message, const char *key)
{
	const char *value = message_get(message, key);
	return value ? value : "(none)";
}

static void make(const char *directory, const char *name, mode_t mode)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	check(!mkdir(path, mode), "%s", path);
	check(!chmod(path, mode), "%s", path);
}

static void put(const char *directory, const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), "%s", path);
	close(fd);
}

static void point(const char *directory, const char *name, const char *target)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	check(!symlink(target, path), "%s", path);
}

static void copy_program(const char *from, const char *directory, const char *name)
{
	char path[256];
	struct stat status;
	snprintf(path, sizeof(path), "%s/%s", directory, name);
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
	check(in >= 0 && out >= 0 && !fstat(in, &status), "%s", from);
	while (status.st_size > 0) {
		ssize_t sent = sendfile(out, in, NULL, (size_t)status.st_size);
		check(sent > 0, "%s", path);
		status.st_size -= sent;
	}
	check(!fchmod(out, 0755), "%s", path);
	close(in);
	close(out);
}

void driver_prepare(struct driver *driver, const char *probe)
{
	*driver = (struct driver){ .control = -1, .listener = -1, .next_id = 1 };
	snprintf(driver->directory, sizeof(driver->directory), "/tmp/wafer-engine-test-XXXXXX");
	check(mkdtemp(driver->directory) != NULL, "mkdtemp");
	const char *directory = driver->directory;
	check(!chmod(directory, 0711), "chmod");
	make(directory, "layers", 0711);
	make(directory, "work", 0711);
	make(directory, "volumes", 0711);
	make(directory, "run", 0700);
	make(directory, "languages", 0755);
	put(directory, "languages/marker", "languages\n");
	make(directory, "layers/base", 0755);
	make(directory, "layers/base/bin", 0755);
	make(directory, "layers/base/etc", 0755);
	put(directory, "layers/base/etc/name", "base\n");
	copy_program(probe, directory, "layers/base/bin/probe");
	make(directory, "layers/second", 0755);
	make(directory, "layers/second/etc", 0755);
	put(directory, "layers/second/etc/name", "second\n");
	make(directory, "layers/code1", 0755);
	make(directory, "layers/code1/function", 0755);
	put(directory, "layers/code1/function/a", "1a\n");
	put(directory, "layers/code1/function/b", "1b\n");
	make(directory, "layers/code2", 0755);
	make(directory, "layers/code2/function", 0755);
	put(directory, "layers/code2/function/b", "2b\n");
	make(directory, "layers/linked", 0755);
	point(directory, "layers/linked/function", "../code1/function");
	put(directory, "work/ca.pem", "certificate\n");
}

static void listen_host(struct driver *driver)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/run/host.sock",
	         driver->directory);
	unlink(address.sun_path);
	driver->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	check(driver->listener >= 0 &&
	              !bind(driver->listener, (struct sockaddr *)&address, sizeof(address)) &&
	              !listen(driver->listener, 128),
	      "host socket");
}

void driver_launch(struct driver *driver, const char *engine, const char *limits)
{
	char layers[160], work[160], volumes[160], languages[160], host[160];
	int pair[2];
	const char *directory = driver->directory;
	listen_host(driver);
	snprintf(layers, sizeof(layers), "%s/layers", directory);
	snprintf(work, sizeof(work), "%s/work", directory);
	snprintf(volumes, sizeof(volumes), "%s/volumes", directory);
	snprintf(languages, sizeof(languages), "%s/languages", directory);
	snprintf(host, sizeof(host), "%s/run/host.sock", directory);
	check(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), "socketpair");
	driver->engine = fork();
	check(driver->engine >= 0, "fork");
	if (driver->engine == 0) {
		int fd = fcntl(pair[1], F_DUPFD_CLOEXEC, 10);
		dup2(fd, 3);
		execl(engine, engine, "--layers", layers, "--work", work, "--volumes", volumes,
		      "--host-socket", host,
		      "--limits", limits, "--languages", languages, (char *)NULL);
		_exit(127);
	}
	close(pair[1]);
	driver->control = pair[0];
	driver->ready = driver_event(driver);
}

void driver_start(struct driver *driver, const char *engine, const char *limits)
{
	driver_launch(driver, engine, limits);
	check(!strcmp(field(&driver->ready, "event"), "ready"), "%s: %s",
	      field(&driver->ready, "step"), field(&driver->ready, "message"));
}

void driver_stop(struct driver *driver)
{
	int status;
	close(driver->control);
	close(driver->listener);
	check(waitpid(driver->engine, &status, 0) == driver->engine, "waitpid");
	check(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the engine ended with status %x", status);
	message_free(&driver->ready);
	buffer_free(&driver->in);
	buffer_free(&driver->events);
}

void driver_remove(struct driver *driver)
{
	char command[200];
	snprintf(command, sizeof(command), "rm -rf %s", driver->directory);
	/* What belongs to sub-ids was removed through the engine by the tests. */
	if (system(command))
		fprintf(stderr, "%s is left\n", driver->directory);
}

uint32_t driver_send(struct driver *driver, const char *const *fields)
{
	struct buffer out = { 0 };
	uint32_t id = driver->next_id++;
	size_t begin = frame_begin(&out, id);
	for (; *fields; fields++)
		buffer_add(&out, *fields, strlen(*fields) + 1);
	frame_end(&out, begin);
	check(write(driver->control, out.data, out.length) == (ssize_t)out.length, "send");
	buffer_free(&out);
	return id;
}

/* The next frame from the engine, whatever it is. */
static struct message next_frame(struct driver *driver)
{
	struct message message;
	int taken;
	while ((taken = frame_take(&driver->in, &message)) == 0) {
		char data[65536];
		struct pollfd control = { driver->control, POLLIN, 0 };
		check(poll(&control, 1, PATIENCE_MS) == 1, "the engine says nothing");
		ssize_t got = read(driver->control, data, sizeof(data));
		check(got > 0, "the engine is gone");
		buffer_add(&driver->in, data, (size_t)got);
	}
	check(taken == 1, "broken frame");
	return message;
}

static void keep_event(struct driver *driver, struct message *message)
{
	size_t begin = frame_begin(&driver->events, message->id);
	buffer_add(&driver->events, message->body, message->length);
	frame_end(&driver->events, begin);
	message_free(message);
}

struct message driver_wait(struct driver *driver, uint32_t id)
{
	for (;;) {
		struct message message = next_frame(driver);
		if (message.id == id)
			return message;
		check(message.id == 0, "an answer to %u while waiting for %u", message.id, id);
		keep_event(driver, &message);
	}
}

struct message driver_ask(struct driver *driver, const char *const *fields)
{
	return driver_wait(driver, driver_send(driver, fields));
}

struct message driver_event(struct driver *driver)
{
	struct message message;
	if (frame_take(&driver->events, &message) == 1)
		return message;
	message = next_frame(driver);
	check(message.id == 0, "an answer to %u while waiting for an event", message.id);
	return message;
}

int driver_accept(struct driver *driver, const char *token)
{
	char line[256], wanted[256];
	size_t length = 0;
	struct pollfd listener = { driver->listener, POLLIN, 0 };
	check(poll(&listener, 1, PATIENCE_MS) == 1, "no connection for %s", token);
	int fd = accept4(driver->listener, NULL, NULL, SOCK_CLOEXEC);
	check(fd >= 0, "accept");
	while (length < sizeof(line) - 1 && read(fd, line + length, 1) == 1 && line[length] != '\n')
		length++;
	line[length] = '\0';
	snprintf(wanted, sizeof(wanted), "wafer1 %s", token);
	check(!strcmp(line, wanted), "the connection is \"%s\", not \"%s\"", line, wanted);
	return fd;
}

static bool read_fully(int fd, void *data, size_t length)
{
	char *at = data;
	while (length > 0) {
		ssize_t got = read(fd, at, length);
		if (got <= 0)
			return false;
		at += got;
		length -= (size_t)got;
	}
	return true;
}

void driver_logs(int fd, char *out, size_t out_size, char *err, size_t err_size)
{
	unsigned char head[4];
	char data[65536];
	size_t used[2] = { 0, 0 }, sizes[2] = { out_size, err_size };
	char *texts[2] = { out, err };
	while (read_fully(fd, head, sizeof(head))) {
		size_t length = (size_t)head[1] << 16 | (size_t)head[2] << 8 | head[3];
		int stream = head[0] - 1;
		check((stream == 0 || stream == 1) && length <= sizeof(data), "logs frame");
		check(read_fully(fd, data, length), "logs frame is cut");
		if (used[stream] + length >= sizes[stream])
			length = sizes[stream] > used[stream] + 1 ? sizes[stream] - used[stream] - 1 : 0;
		memcpy(texts[stream] + used[stream], data, length);
		used[stream] += length;
	}
	for (int i = 0; i < 2; i++)
		if (sizes[i])
			texts[i][used[i]] = '\0';
	close(fd);
}
