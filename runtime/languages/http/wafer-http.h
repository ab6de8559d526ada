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

/* util.c: the end of the program, and memory. */
void kill_at_exit(pid_t child); /* its process group does not outlive the program */
void leave(int status) NORETURN;
void die(const char *format, ...) PRINTF_LIKE(1, 2) NORETURN; /* the host or this program is wrong: status 70 */
void *xmalloc(size_t size); /* zeroed; out of memory ends the program */

/* buf.c: bytes that grow at the end and are taken from the front. Out of memory ends the program. */
struct buf { char *data; size_t start, len, cap; };
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

/* loop.c: the epoll loop. `ready` may be called once more in the round in which the source was taken out. */
struct source { void (*ready)(struct source *self, uint32_t events); };
void loop_open(void);
/* Keeps the interest in `fd`, which is `*now`, at `wanted`; 0 takes it out, so that a hang-up can not spin. */
void watch(int fd, struct source *source, uint32_t *now, uint32_t wanted);
/* Waits, and calls what is ready; the number of sources, 0 after `timeout` ms, -1 for a signal. */
int loop_round(int timeout);

/* control.c: the control socket. */
typedef void frame_handler(int type, uint32_t call, const char *bytes, size_t n);
void control_open(frame_handler *handler);
void control_watch(void); /* before each round */
void control_send(int type, uint32_t call, const void *bytes, size_t n);
void control_credit(uint32_t call, size_t bytes);
size_t control_pending(void);
void control_flush(void);
void control_flush_all(void); /* before an exit: the host always reads, so this ends */
uint32_t frame_u32(const char *bytes);

/* settings.c: INIT. NULL when the payload is not what it must be. Lives as long as the program. */
struct settings {
	char *name, *code_path;
	char **argv, **env;
	long long version, max_result;
	int port;
};
struct settings *settings_parse(const char *json, size_t n);

/* child.c: the server. */
/* Starts the command in its own process group; -1 with the reason in `error`. */
pid_t child_start(struct settings *s, struct buf *error);
/* A socket to the server, or -1 with errno; `pending` when the connection is still being made. */
int port_connect(int port, bool *pending);
bool port_accepts(int port);

/* request.c: what a call asks of the server, as bytes in `out`. */
struct request {
	char *invocation;
	bool is_event, is_head, may_wait, head_sent, chunked, complete;
	bool deaf;            /* the server reads no more: nothing is kept for it */
	long long declared;   /* content-length, or -1 */
	long long received;
	struct buf head;      /* request line and fields, without the ones about the body */
	struct buf body;      /* until the head is sent */
	struct buf out;       /* for the server */
};
/* False when the payload is not what CALL must be. */
bool request_parse(struct request *r, const char *json, size_t n);
/* False when the body is longer, or at its end shorter, than was declared. */
bool request_body(struct request *r, const char *bytes, size_t n);
bool request_complete(struct request *r);
/* Lets the head go as soon as the length of the body can be said; may be called at any time. */
void request_begin(struct request *r);
void request_stop(struct request *r);
void request_free(struct request *r);

/* response.c: what a server answers, as it arrives. */
enum part { P_HEAD, P_LENGTH, P_CLOSE, P_SIZE, P_CHUNK, P_CHUNK_END, P_TRAILER, P_DONE };
struct response_sink {
	void (*head)(void *owner); /* status, headers, part and left are known */
	void (*body)(void *owner, const char *bytes, size_t n);
};
struct response {
	const struct response_sink *sink;
	void *owner;
	enum part part;
	struct buf head;      /* raw head; then a size or trailer line */
	int status;
	long long left;       /* of the body or the chunk */
	bool bodyless;        /* the request was HEAD */
	struct buf headers;   /* JSON list of pairs, without hop-by-hop fields */
	char *content_type;
};
/* NULL, or what is wrong: the end of a sentence about the server. */
const char *response_feed(struct response *r, const char *bytes, size_t n);
/* The server closed; true when the answer is whole by that. */
bool response_close(struct response *r);
void response_free(struct response *r);

/* One call: made by call.c, ended by answer.c, freed by calls.c. */
struct call {
	struct source source;  /* first: epoll gives it back */
	struct call *next;     /* of calls.c */
	uint32_t number, watched;
	const struct settings *settings;
	int fd;
	/* The connection broke: why, and since when. Whether the server is gone shows a moment later. */
	const char *broken;
	long long broken_at;
	bool answered;         /* RESULT is sent */
	bool refused;          /* an event was answered with a status that is an error; its body is the text */
	bool dead;             /* END or ERROR is sent */
	long long sent;        /* bytes of the answer's body */
	size_t unacknowledged; /* request body bytes that the host has no credit for yet */
	size_t window;         /* answer bytes that the host takes now */
	struct buf error_text;
	struct request request;
	struct response response;
};

/* answer.c: what the host is told of it. After an end the call is dead and its connection closed. */
extern const struct response_sink answer_sink; /* of owners that are calls */
void answer_end(struct call *c);
void answer_fail(struct call *c, const char *code, const char *what, const char *text, size_t n);

/* call.c: its connection. NULL when the payload is not what CALL must be. */
struct call *call_new(uint32_t number, const struct settings *s, const char *json, size_t n);
void call_body(struct call *c, const char *bytes, size_t n);
void call_complete(struct call *c);
void call_cancel(struct call *c);
void call_credit(struct call *c, uint32_t bytes);
/* After a batch of frames and events: lets the request go, and watches for what the call can do now. */
void call_advance(struct call *c, bool host_is_slow);
/* Until when call_advance() has to be called again, in ms; -1: no need. */
int call_timeout(const struct call *c);
/* The server is gone; what it had sent before still counts. */
void call_last_words(struct call *c);
void call_free(struct call *c);

/* calls.c: all that are open. As call.c, for each of them. */
bool calls_open(uint32_t number, const struct settings *s, const char *json, size_t n);
struct call *calls_find(uint32_t number); /* NULL when it has ended */
bool calls_empty(void);
int calls_timeout(void);
void calls_advance(void);
void calls_last_words(void);
void calls_sweep(void); /* frees those that ended; after each round */
#endif
