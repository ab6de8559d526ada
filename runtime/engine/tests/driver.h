/* A worker for tests: starts the engine, speaks its protocol, takes its streams. */
#ifndef WAFER_TEST_DRIVER_H
#define WAFER_TEST_DRIVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../frame.h"

#define check(condition, ...) check_at((condition), __FILE__, __LINE__, #condition, __VA_ARGS__)
void check_at(bool good, const char *file, int line, const char *condition, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

struct driver {
	pid_t engine;
	int control, listener;
	char directory[128]; /* with layers/ work/ run/ languages/ */
	uint32_t next_id;
	struct buffer in;
	struct buffer events; /* frames with id 0 that nobody asked for yet */
	struct message ready;
};

/* Makes the directory with the layer `base` (the probe program and a few files). */
void driver_prepare(struct driver *driver, const char *probe);
/* Starts the engine and takes its first event; driver_start wants that to be `ready`. */
void driver_launch(struct driver *driver, const char *engine, const char *limits);
void driver_start(struct driver *driver, const char *engine, const char *limits);
/* Ends the connection, waits for the engine, checks its status. */
void driver_stop(struct driver *driver);
void driver_remove(struct driver *driver);

/* Builds a request: fields "key=value", NULL at the end. Returns its id. */
uint32_t driver_send(struct driver *driver, const char *const *fields);
struct message driver_wait(struct driver *driver, uint32_t id);
struct message driver_ask(struct driver *driver, const char *const *fields);
/* The next event; waits for it. */
struct message driver_event(struct driver *driver);
/* The next connection whose first line is `wafer1 TOKEN`. */
int driver_accept(struct driver *driver, const char *token);
/* Reads a logs connection to its end: stdout and stderr texts, NUL-terminated. */
void driver_logs(int fd, char *out, size_t out_size, char *err, size_t err_size);

const char *field(const struct message *message, const char *key);

#endif
