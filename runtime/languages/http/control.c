/*
 * The control socket: frames of the host in, frames for the host out (runtime/protocol/protocol.md).
 *
 * What is sent is kept until the socket takes it; control_pending() tells those who produce
 * when to pause. The host is trusted: a frame that is too long ends the program, and so does
 * the end of the socket.
 */
#include "wafer-http.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { CONTROL = 3 };

static struct buf in, out;
static frame_handler *on_frame;

static uint32_t u32(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_u32(unsigned char *p, uint32_t value)
{
	for (int i = 3; i >= 0; i--, value >>= 8)
		p[i] = (unsigned char)value;
}

void control_send(int type, uint32_t call, const void *bytes, size_t n)
{
	unsigned char head[FRAME_HEAD];
	put_u32(head, (uint32_t)n);
	head[4] = (unsigned char)type;
	put_u32(head + 5, call);
	buf_add(&out, head, sizeof head);
	buf_add(&out, bytes, n);
}

void control_credit(uint32_t call, size_t bytes)
{
	unsigned char credit[4];
	put_u32(credit, (uint32_t)bytes);
	control_send(H_CREDIT, call, credit, sizeof credit);
}

uint32_t frame_u32(const char *bytes)
{
	return u32((const unsigned char *)bytes);
}

size_t control_pending(void)
{
	return out.len;
}

void control_flush(void)
{
	while (out.len > 0) {
		ssize_t n = write(CONTROL, buf_at(&out), out.len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			leave(0);
		buf_take(&out, (size_t)n);
	}
}

void control_flush_all(void)
{
	while (control_flush(), out.len > 0) {
		struct pollfd p = {.fd = CONTROL, .events = POLLOUT};
		poll(&p, 1, 1000);
	}
}

/* Whole frames at the front; the rest stays for the next read. */
static void take_frames(void)
{
	while (in.len >= FRAME_HEAD) {
		const unsigned char *head = (unsigned char *)buf_at(&in);
		size_t length = u32(head);
		if (length > MAX_PAYLOAD)
			die("a frame of %zu bytes", length);
		if (in.len < FRAME_HEAD + length)
			break;
		on_frame(head[4], u32(head + 5), (const char *)head + FRAME_HEAD, length);
		buf_take(&in, FRAME_HEAD + length);
	}
}

static void on_control(struct source *source, uint32_t events)
{
	static char bytes[BODY_PIECE];
	(void)source;
	if (!(events & ~(uint32_t)EPOLLOUT))
		return;
	ssize_t n = read(CONTROL, bytes, sizeof bytes);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		leave(0);
	buf_add(&in, bytes, (size_t)n);
	take_frames();
}

void control_open(frame_handler *handler)
{
	on_frame = handler;
	if (fcntl(CONTROL, F_SETFD, FD_CLOEXEC) < 0 || fcntl(CONTROL, F_SETFL, fcntl(CONTROL, F_GETFL) | O_NONBLOCK) < 0)
		die("file descriptor 3 is not a control socket: %s", strerror(errno));
}

void control_watch(void)
{
	static struct source control = {on_control};
	static uint32_t watched;
	watch(CONTROL, &control, &watched, EPOLLIN | (out.len > 0 ? (uint32_t)EPOLLOUT : 0));
}
