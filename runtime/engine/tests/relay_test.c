/*
 * The relay against real sockets: this test enters a net namespace of its own with
 * a local default route and an nftables redirect (as a sandbox has), hands the
 * sockets to a relay that stayed outside, and plays both the client inside and the
 * host's unix socket. TAP on stdout.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jobs.h"
#include "relay_conn.h"

enum { PATIENCE_MS = 20000, BIG = 8 << 20 };

static int n_done, n_failed, host_listener;
static char directory[] = "/tmp/wafer-relay-XXXXXX", host_path[64];

__attribute__((format(printf, 2, 3))) static void ok(int condition, const char *format, ...) {
	va_list args;

	printf("%s %d - ", condition ? "ok" : "not ok", ++n_done);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	n_failed += !condition;
}

/*** Set-up ***/

static void write_file(const char *path, const char *text) {
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		printf("# %s: %m\n", path);
	if (fd >= 0)
		close(fd);
}

static int enter_user_namespace(void) {
	unsigned int uid = geteuid(), gid = getegid();
	char text[64];

	if (unshare(CLONE_NEWUSER) != 0)
		return -1;
	write_file("/proc/self/setgroups", "deny");
	snprintf(text, sizeof(text), "0 %u 1", uid);
	write_file("/proc/self/uid_map", text);
	snprintf(text, sizeof(text), "0 %u 1", gid);
	write_file("/proc/self/gid_map", text);
	return 0;
}

static int enter_net_namespace(void) {
	if (unshare(CLONE_NEWNET) != 0)
		return -1;
	setenv("PATH", "/usr/sbin:/usr/bin:/sbin:/bin", 1);
	return system("ip link set lo up && ip route add local default dev lo && ip -6 route add local default dev lo");
}

static int bound(int family, int type, unsigned int *port) {
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	struct sockaddr_in6 local;
	socklen_t size = sizeof(local);
	int fd = socket(family, type | SOCK_CLOEXEC, 0), bad;

	if (family == AF_INET)
		bad = bind(fd, (struct sockaddr *)&v4, sizeof(v4));
	else
		bad = bind(fd, (struct sockaddr *)&v6, sizeof(v6));
	if (bad || (type == SOCK_STREAM && listen(fd, 512)) || getsockname(fd, (struct sockaddr *)&local, &size))
		return -1;
	*port = ntohs(local.sin6_port);
	return fd;
}

static int hand_over(int sock, const char *id) {
	unsigned int ports[4];
	int tcp[2] = {bound(AF_INET, SOCK_STREAM, &ports[0]), bound(AF_INET6, SOCK_STREAM, &ports[1])};
	int udp[2] = {bound(AF_INET, SOCK_DGRAM, &ports[2]), bound(AF_INET6, SOCK_DGRAM, &ports[3])};
	char rules[600];
	int failed;

	snprintf(rules, sizeof(rules),
	         "nft 'flush ruleset; table inet t { chain o { type nat hook output priority -100; "
	         "ip daddr 127.0.0.1 return; ip6 daddr ::1 return; "
	         "ip protocol tcp redirect to :%u; ip6 nexthdr tcp redirect to :%u; "
	         "ip protocol udp udp dport 53 redirect to :%u; ip6 nexthdr udp udp dport 53 redirect to :%u; }; }'",
	         ports[0], ports[1], ports[2], ports[3]);
	failed = system(rules) != 0 || relay_send_sandbox(sock, id, tcp, 2, udp, 2) != 0;
	close(tcp[0]), close(tcp[1]), close(udp[0]), close(udp[1]);
	return failed ? -1 : 0;
}

static int listen_host(int backlog) {
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(host_path);
	strcpy(address.sun_path, host_path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, backlog) != 0)
		return -1;
	return fd;
}

/*** Both ends ***/

static int wait_for(int fd, short events) {
	struct pollfd wait = {.fd = fd, .events = events};

	return poll(&wait, 1, PATIENCE_MS) == 1;
}

static int dial(int family, const char *address, unsigned int port, int type) {
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
	int fd = socket(family, type | SOCK_CLOEXEC, 0), bad;

	inet_pton(family, address, family == AF_INET ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr);
	if (family == AF_INET)
		bad = connect(fd, (struct sockaddr *)&v4, sizeof(v4));
	else
		bad = connect(fd, (struct sockaddr *)&v6, sizeof(v6));
	if (!bad)
		return fd;
	bad = errno;
	close(fd);
	errno = bad;
	return -1;
}

/* The next connection at the host socket; its first line goes to `line`. */
static int answer(char *line, size_t size) {
	int fd = wait_for(host_listener, POLLIN) ? accept4(host_listener, NULL, NULL, SOCK_CLOEXEC) : -1;
	size_t at = 0;

	while (fd >= 0 && at + 1 < size && wait_for(fd, POLLIN) && read(fd, line + at, 1) == 1)
		if (line[at++] == '\n')
			break;
	line[at] = '\0';
	return fd;
}

/* "x" when it ended, "r" when it was reset, else what was read. */
static const char *hear(int fd) {
	static char text[256];
	ssize_t got;

	if (!wait_for(fd, POLLIN))
		return "nothing";
	got = read(fd, text, sizeof(text) - 1);
	if (got < 0)
		return errno == ECONNRESET ? "r" : strerror(errno);
	text[got] = '\0';
	return got == 0 ? "x" : text;
}

/* Of a connection that was just dialled: its reset may come before connect() has returned. */
static int is_reset(int dialled) {
	return dialled < 0 ? errno == ECONNRESET : strcmp(hear(dialled), "r") == 0;
}

static int say(int fd, const char *text) {
	return write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/*** Tests ***/

static void test_tcp(void) {
	char line[200];
	int client = dial(AF_INET, "203.0.113.7", 443, SOCK_STREAM), host = answer(line, sizeof(line));

	ok(strcmp(line, "wafer1 egress box-1 tcp 203.0.113.7 443\n") == 0, "a connection to 203.0.113.7:443 reaches the host socket with its destination");
	ok(say(client, "ping") && strcmp(hear(host), "ping") == 0 && say(host, "pong") && strcmp(hear(client), "pong") == 0,
	   "bytes go both ways");
	shutdown(client, SHUT_WR);
	ok(strcmp(hear(host), "x") == 0 && say(host, "late") && strcmp(hear(client), "late") == 0,
	   "after the client's half-close the host can still answer");
	close(host);
	ok(strcmp(hear(client), "x") == 0, "and the client sees its end");
	close(client);
	client = dial(AF_INET6, "2001:db8::7", 8443, SOCK_STREAM);
	host = answer(line, sizeof(line));
	ok(strcmp(line, "wafer1 egress box-1 tcp 2001:db8::7 8443\n") == 0, "IPv6 destinations too");
	shutdown(host, SHUT_WR);
	ok(strcmp(hear(client), "x") == 0 && say(client, "more") && strcmp(hear(host), "more") == 0,
	   "after the host's half-close the client can still send");
	close(client);
	ok(strcmp(hear(host), "x") == 0, "and the host sees its end");
	close(host);
}

static void test_resets(void) {
	char line[200];
	int client = dial(AF_INET, "198.18.0.1", 80, SOCK_STREAM), host = answer(line, sizeof(line));
	int arrived = 0, resets = 0;

	close(host);
	ok(strcmp(hear(client), "r") == 0, "a host that closes at once is a reset for the client");
	close(client);
	/* Again and again: the close may come at any moment of the relay's turn. */
	for (int i = 0; i < 300; i++) {
		client = dial(AF_INET, "198.18.0.1", 80, SOCK_STREAM);
		host = answer(line, sizeof(line));
		say(host, "part");
		arrived += strcmp(hear(client), "part") == 0;
		close(host);
		resets += strcmp(hear(client), "r") == 0;
		close(client);
	}
	ok(arrived == 300, "the first part arrives");
	ok(resets == 300, "a host that gives up in the middle is a reset, not an end");
	client = dial(AF_INET, "198.18.0.1", 80, SOCK_STREAM);
	host = answer(line, sizeof(line));
	close(client);
	ok(strcmp(hear(host), "x") == 0, "a client that goes away is an end for the host");
	close(host);
}

/* 8 MiB from one side to the other; the reader starts late. */
static int transfer(int from, int to) {
	static unsigned char out[65536], in[65536];
	size_t sent = 0, got = 0, stalled;
	int good = 1;

	fcntl(from, F_SETFL, O_NONBLOCK);
	fcntl(to, F_SETFL, O_NONBLOCK);
	for (size_t i = 0; i < sizeof(out); i++)
		out[i] = (unsigned char)(i * 31 + i / 256);
	while (sent < BIG) { /* until nothing more goes in */
		struct pollfd room = {.fd = from, .events = POLLOUT};
		ssize_t n;

		if (poll(&room, 1, 500) != 1)
			break;
		n = write(from, out + sent % sizeof(out), sizeof(out) - sent % sizeof(out));
		sent += n > 0 ? (size_t)n : 0;
	}
	stalled = sent;
	while (got < BIG && good) {
		struct pollfd both[2] = {{.fd = from, .events = sent < BIG ? POLLOUT : 0}, {.fd = to, .events = POLLIN}};
		ssize_t n;

		good = poll(both, 2, PATIENCE_MS) > 0;
		n = sent < BIG ? write(from, out + sent % sizeof(out), sizeof(out) - sent % sizeof(out)) : 0;
		sent += n > 0 ? (size_t)n : 0;
		n = read(to, in, sizeof(in));
		for (ssize_t i = 0; i < n; i++)
			good = good && in[i] == out[(got + (size_t)i) % sizeof(out)];
		got += n > 0 ? (size_t)n : 0;
	}
	return good && stalled < BIG && got == sent;
}

static void test_pressure(void) {
	char line[200];
	int client = dial(AF_INET, "203.0.113.8", 1, SOCK_STREAM), host = answer(line, sizeof(line));
	int small = 65536;

	setsockopt(client, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	ok(transfer(client, host), "a slow host stops the client, and nothing is lost or changed");
	close(client), close(host);
	client = dial(AF_INET, "203.0.113.8", 1, SOCK_STREAM);
	host = answer(line, sizeof(line));
	setsockopt(client, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	ok(transfer(host, client), "a slow client stops the host, and nothing is lost or changed");
	close(client), close(host);
}

static int read_exact(int fd, void *out, size_t size) {
	size_t at = 0;

	while (at < size && wait_for(fd, POLLIN)) {
		ssize_t got = read(fd, (char *)out + at, size - at);

		if (got <= 0)
			break;
		at += (size_t)got;
	}
	return at == size;
}

/* The next query at the host: its id, or -1 when the frame is not `query`. */
static long dns_frame(int host, const char *query) {
	unsigned char head[6];
	char message[64] = "";
	size_t size;

	if (!read_exact(host, head, 6))
		return -1;
	size = (size_t)(head[4] << 8 | head[5]);
	if (size >= sizeof(message) || !read_exact(host, message, size) || strcmp(message, query) != 0)
		return -1;
	return (long)head[0] << 24 | (long)head[1] << 16 | (long)head[2] << 8 | head[3];
}

static int dns_answer(int host, long id, const char *message) {
	unsigned char frame[70] = {(unsigned char)(id >> 24), (unsigned char)(id >> 16), (unsigned char)(id >> 8),
	                           (unsigned char)id, 0, (unsigned char)strlen(message)};

	memcpy(frame + 6, message, strlen(message));
	return write(host, frame, 6 + strlen(message)) == (ssize_t)(6 + strlen(message));
}

static void test_dns(void) {
	int a = dial(AF_INET, "203.0.113.53", 53, SOCK_DGRAM), b = dial(AF_INET6, "2001:db8::53", 53, SOCK_DGRAM), host;
	char line[200];
	long first, second;

	say(a, "query-number-one");
	host = answer(line, sizeof(line));
	ok(strcmp(line, "wafer1 egress box-1 dns\n") == 0, "the first query opens one connection for names");
	first = dns_frame(host, "query-number-one");
	say(b, "query-number-two");
	second = dns_frame(host, "query-number-two");
	ok(first >= 0 && second >= 0 && first != second, "queries come framed, each with an id");
	dns_answer(host, second, "answer-two");
	dns_answer(host, first, "answer-one");
	ok(strcmp(hear(a), "answer-one") == 0 && strcmp(hear(b), "answer-two") == 0,
	   "answers go to who asked, from the address that was asked (IPv4 and IPv6)");
	dns_answer(host, first, "again");
	dns_answer(host, 99999, "unknown");
	say(a, "query-number-three");
	first = dns_frame(host, "query-number-three");
	dns_answer(host, first, "answer-three");
	ok(strcmp(hear(a), "answer-three") == 0, "repeated and unknown answers are dropped");
	close(host);
	/* The relay may not have seen the close yet; a lost query is asked again, as resolvers do. */
	host = -1;
	for (int i = 0; i < 50 && host < 0; i++) {
		struct pollfd wait = {.fd = host_listener, .events = POLLIN};

		say(a, "query-number-four");
		if (poll(&wait, 1, 100) == 1)
			host = answer(line, sizeof(line));
	}
	ok(strcmp(line, "wafer1 egress box-1 dns\n") == 0 && dns_frame(host, "query-number-four") >= 0,
	   "a lost connection for names is opened again");
	close(host), close(a), close(b);
}

static void test_caps(void) {
	static int clients[RELAY_CONNS_PER_SANDBOX + 1], hosts[RELAY_CONNS_PER_SANDBOX];
	char line[200];
	int good = 1;

	for (int i = 0; i < RELAY_CONNS_PER_SANDBOX; i++) {
		clients[i] = dial(AF_INET, "203.0.113.9", 9, SOCK_STREAM);
		hosts[i] = answer(line, sizeof(line));
		good = good && clients[i] >= 0 && hosts[i] >= 0;
	}
	clients[RELAY_CONNS_PER_SANDBOX] = dial(AF_INET, "203.0.113.9", 9, SOCK_STREAM);
	ok(is_reset(clients[RELAY_CONNS_PER_SANDBOX]) && good, "connection 257 of a sandbox is reset");
	for (int i = 0; i < RELAY_CONNS_PER_SANDBOX; i++) {
		close(clients[i]);
		good = good && strcmp(hear(hosts[i]), "x") == 0;
		close(hosts[i]);
	}
	close(clients[RELAY_CONNS_PER_SANDBOX]);
	ok(good, "all 256 end");
}

static void test_backlog(void) {
	int clients[20], good = 1;
	char line[200];

	close(host_listener);
	host_listener = listen_host(1);
	for (int i = 0; i < 20; i++)
		clients[i] = dial(AF_INET, "203.0.113.10", 10, SOCK_STREAM);
	for (int i = 0; i < 20; i++) {
		int host = answer(line, sizeof(line));

		good = good && strstr(line, "203.0.113.10") != NULL;
		close(host);
	}
	for (int i = 0; i < 20; i++)
		close(clients[i]);
	ok(good, "connections wait while the host's backlog is full");
}

static void test_forget(int sock) {
	char line[200];
	int client = dial(AF_INET, "203.0.113.11", 11, SOCK_STREAM), host = answer(line, sizeof(line)), again;

	relay_forget(sock, "box-1");
	ok(strcmp(hear(client), "r") == 0 && strcmp(hear(host), "x") == 0, "a forgotten sandbox loses its connections");
	again = dial(AF_INET, "203.0.113.11", 11, SOCK_STREAM);
	ok(again < 0 && errno == ECONNREFUSED, "and its listeners");
	close(client), close(host);
	ok(hand_over(sock, "box-1") == 0 && (client = dial(AF_INET, "203.0.113.12", 12, SOCK_STREAM)) >= 0 &&
	       (host = answer(line, sizeof(line))) >= 0,
	   "a new sandbox of the same name works");
	close(client), close(host);
	close(host_listener);
	unlink(host_path);
	client = dial(AF_INET, "203.0.113.12", 12, SOCK_STREAM);
	ok(is_reset(client), "without a host every connection is reset");
	close(client);
}

static void test_process(pid_t relay, int sock) {
	char path[64], line[256];
	unsigned long long caps = 1, bounding = 1, privileges = 0;
	int status = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)relay);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		sscanf(line, "CapPrm: %llx", &caps);
		sscanf(line, "CapBnd: %llx", &bounding);
		sscanf(line, "NoNewPrivs: %llu", &privileges);
	}
	if (file)
		fclose(file);
	ok(caps == 0 && bounding == 0 && privileges == 1, "the relay has no capability and can get none");
	close(sock);
	ok(waitpid(relay, &status, 0) == relay && WIFEXITED(status) && WEXITSTATUS(status) == 0,
	   "the relay ends with its engine");
}

int main(void) {
	int pair[2];
	pid_t relay;

	signal(SIGPIPE, SIG_IGN);
	if (!mkdtemp(directory))
		return 2;
	snprintf(host_path, sizeof(host_path), "%s/host", directory);
	host_listener = listen_host(512);
	if (host_listener < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
		return 2;
	/* The relay is made inside a user namespace, where it has every capability to lose (as the engine's child has). */
	if (enter_user_namespace() != 0 || (relay = fork()) < 0)
		return 2;
	if (relay == 0)
		relay_main(pair[1], host_path);
	close(pair[1]);
	if (enter_net_namespace() != 0) {
		printf("1..0 # SKIP no net namespace here\n");
		return 77;
	}
	ok(hand_over(pair[0], "box-1") == 0, "the sockets and the redirect are made and handed over");
	test_tcp();
	test_resets();
	test_pressure();
	test_dns();
	test_caps();
	test_backlog();
	test_forget(pair[0]);
	test_process(relay, pair[0]);
	rmdir(directory);
	return n_failed > 0;
}
