/* The http runtime; main.c has the theory of operation. */
#ifndef WAFER_HTTP_H
#define WAFER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PRINTF_LIKE(a, b) __attribute__((format(printf, a, b)))
#define NORETURN __attribute__((noreturn))

enum {
	T_INIT = 0x01, T_CALL, T_BODY, T_END, T_CANCEL, T_CREDIT, T_SHUTDOWN,
	H_READY = 0x81, H_INIT_OK, H_INIT_ERROR, H_RESULT, H_BODY, H_END, H_ERROR, H_LOG, H_CREDIT,
};

enum {
	FRAME_HEAD = 9,
	MAX_PAYLOAD = 1 << 20,
	WINDOW = 262144,
	CREDIT_PIECE = 65536,
	BODY_PIECE = 65536,
	/* An event is collected, so that the server gets its length; above this it is sent chunked. */
	COLLECT_MAX = 8 << 20,
	RESPONSE_HEAD_MAX = 65536,
	RESPONSE_HEADERS_MAX = 400,
	ERROR_TEXT_MAX = 1024,
	/* Above this many bytes for the host no server is read. */
	CONTROL_HIGH = 1 << 20,
	EXIT_PROTOCOL = 70,
};

/* buf.c: bytes that grow at the end and are taken from the front. Out of memory ends the program. */
struct buf { char *data; size_t start, len, cap; };
void *xmalloc(size_t size);
void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_str(struct buf *b, const char *text);
void buf_fmt(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_take(struct buf *b, size_t n);
void buf_free(struct buf *b);
static inline char *buf_at(const struct buf *b) { return b->data + b->start; }

/* json.c: a pull parser over one frame, and a writer of strings. `bad` sticks. */
struct json { const char *at, *end; bool bad; };
bool json_enter(struct json *j, char open);
bool json_more(struct json *j, char close, bool *first);
char *json_key(struct json *j);
char *json_string(struct json *j);
long long json_integer(struct json *j);
void json_skip(struct json *j, int depth);
void json_put(struct buf *b, const char *bytes, size_t n, bool latin1);

struct source { void (*ready)(struct source *self, uint32_t events); };

struct settings {
	char *name, *code_path;
	char **argv, **env;
	long long version, max_result;
	int port;
};

/* child.c */
struct settings *settings_parse(const char *json, size_t n);
pid_t child_start(struct settings *s, struct buf *error);
int port_connect(int port, bool *pending);

/* response.c: what a server answers, as it arrives. */
enum part { P_HEAD, P_LENGTH, P_CLOSE, P_SIZE, P_CHUNK, P_CHUNK_END, P_TRAILER, P_DONE };
struct response {
	enum part part;
	struct buf head;      /* raw head; then a size or trailer line */
	int status;
	long long left;       /* of the body or the chunk */
	bool bodyless;        /* the request was HEAD */
	struct buf headers;   /* JSON list of pairs, without hop-by-hop fields */
	char *content_type;
};
struct call;
const char *response_feed(struct response *r, struct call *call, const char *bytes, size_t n);
bool response_close(struct response *r);
void response_free(struct response *r);

/* call.c */
struct call *call_find(uint32_t number);
bool calls_empty(void);
int calls_timeout(void);
bool call_open(uint32_t number, const struct settings *s, const char *json, size_t n);
void call_body(struct call *c, const char *bytes, size_t n);
void call_complete(struct call *c);
void call_cancel(struct call *c);
void call_credit(struct call *c, uint32_t bytes);
const char *call_on_head(struct call *c);
const char *call_on_body(struct call *c, const char *bytes, size_t n);
void calls_advance(void);
void calls_last_words(void);
void calls_sweep(void);

/* main.c */
void die(int status, const char *format, ...) PRINTF_LIKE(2, 3) NORETURN;
void control_send(int type, uint32_t call, const void *bytes, size_t n);
size_t control_pending(void);
void watch(int fd, struct source *source, uint32_t *now, uint32_t wanted);
#endif
