/*
 * One nftables table in the sandbox's own network namespace, written as a
 * netlink batch (no program of the host can run in there):
 *
 *   table inet wafer { chain out { type nat hook output priority -100;
 *     ip  daddr != 127.0.0.0/8  tcp            redirect to :tcp4
 *     ip6 daddr != ::1          tcp            redirect to :tcp6
 *     ip  daddr != 127.0.0.0/8  udp dport 53   redirect to :udp4
 *     ip6 daddr != ::1          udp dport 53   redirect to :udp6 } }
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "confine.h"
#include "util.h"

#define STEP "nftables"
#define REGISTER NFT_REG_1
#define NAT_PRIORITY (-100)

struct batch {
	_Alignas(8) char data[4096];
	size_t length;
	uint32_t sequence;
};

static void put(struct batch *batch, const void *data, size_t length)
{
	size_t padded = NLMSG_ALIGN(length);
	if (batch->length + padded > sizeof(batch->data))
		return; /* never: the rules are fixed, and a short batch is refused by the kernel */
	memset(batch->data + batch->length, 0, padded);
	memcpy(batch->data + batch->length, data, length);
	batch->length += padded;
}

static size_t begin_message(struct batch *batch, uint16_t type, uint16_t flags, uint8_t family,
                            uint16_t resource)
{
	size_t start = batch->length;
	struct nlmsghdr header = { .nlmsg_type = type,
		                       .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
		                       .nlmsg_seq = batch->sequence++ };
	struct nfgenmsg general = { .nfgen_family = family, .res_id = htons(resource) };
	put(batch, &header, sizeof(header));
	put(batch, &general, sizeof(general));
	return start;
}

static void end_message(struct batch *batch, size_t start)
{
	uint32_t length = (uint32_t)(batch->length - start);
	memcpy(batch->data + start, &length, sizeof(length));
}

static void attribute(struct batch *batch, uint16_t type, const void *data, size_t length)
{
	struct nlattr header = { (uint16_t)(NLA_HDRLEN + length), type };
	put(batch, &header, sizeof(header));
	put(batch, data, length);
}

static void attribute_text(struct batch *batch, uint16_t type, const char *text)
{
	attribute(batch, type, text, strlen(text) + 1);
}

static void attribute_number(struct batch *batch, uint16_t type, uint32_t number)
{
	uint32_t big_endian = htonl(number);
	attribute(batch, type, &big_endian, sizeof(big_endian));
}

static size_t begin_nested(struct batch *batch, uint16_t type)
{
	size_t start = batch->length;
	struct nlattr header = { 0, (uint16_t)(type | NLA_F_NESTED) };
	put(batch, &header, sizeof(header));
	return start;
}

static void end_nested(struct batch *batch, size_t start)
{
	uint16_t length = (uint16_t)(batch->length - start);
	memcpy(batch->data + start, &length, sizeof(length));
}

/* An expression is a name and its data, as one element of the rule's list. */
struct expression {
	size_t element, data;
};

static struct expression begin_expression(struct batch *batch, const char *name)
{
	struct expression expression;
	expression.element = begin_nested(batch, NFTA_LIST_ELEM);
	attribute_text(batch, NFTA_EXPR_NAME, name);
	expression.data = begin_nested(batch, NFTA_EXPR_DATA);
	return expression;
}

static void end_expression(struct batch *batch, struct expression expression)
{
	end_nested(batch, expression.data);
	end_nested(batch, expression.element);
}

static void load_meta(struct batch *batch, uint32_t key)
{
	struct expression expression = begin_expression(batch, "meta");
	attribute_number(batch, NFTA_META_DREG, REGISTER);
	attribute_number(batch, NFTA_META_KEY, key);
	end_expression(batch, expression);
}

static void load_payload(struct batch *batch, uint32_t base, uint32_t offset, uint32_t length)
{
	struct expression expression = begin_expression(batch, "payload");
	attribute_number(batch, NFTA_PAYLOAD_DREG, REGISTER);
	attribute_number(batch, NFTA_PAYLOAD_BASE, base);
	attribute_number(batch, NFTA_PAYLOAD_OFFSET, offset);
	attribute_number(batch, NFTA_PAYLOAD_LEN, length);
	end_expression(batch, expression);
}

static void compare(struct batch *batch, uint32_t operation, const void *value, size_t length)
{
	struct expression expression = begin_expression(batch, "cmp");
	attribute_number(batch, NFTA_CMP_SREG, REGISTER);
	attribute_number(batch, NFTA_CMP_OP, operation);
	size_t data = begin_nested(batch, NFTA_CMP_DATA);
	attribute(batch, NFTA_DATA_VALUE, value, length);
	end_nested(batch, data);
	end_expression(batch, expression);
}

static void redirect(struct batch *batch, uint16_t port)
{
	uint16_t big_endian = htons(port);
	struct expression expression = begin_expression(batch, "immediate");
	attribute_number(batch, NFTA_IMMEDIATE_DREG, REGISTER);
	size_t data = begin_nested(batch, NFTA_IMMEDIATE_DATA);
	attribute(batch, NFTA_DATA_VALUE, &big_endian, sizeof(big_endian));
	end_nested(batch, data);
	end_expression(batch, expression);
	expression = begin_expression(batch, "redir");
	attribute_number(batch, NFTA_REDIR_REG_PROTO_MIN, REGISTER);
	end_expression(batch, expression);
}

static void not_loopback(struct batch *batch, int family)
{
	static const uint8_t first_byte = 127;
	if (family == NFPROTO_IPV4) {
		load_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, 16, 1); /* iphdr.daddr */
		compare(batch, NFT_CMP_NEQ, &first_byte, 1);
	} else {
		load_payload(batch, NFT_PAYLOAD_NETWORK_HEADER, 24, 16); /* ip6_hdr.ip6_dst */
		compare(batch, NFT_CMP_NEQ, &in6addr_loopback, 16);
	}
}

static void add_rule(struct batch *batch, uint8_t family, uint8_t protocol, uint16_t port,
                     bool last)
{
	const uint16_t flags = NLM_F_CREATE | NLM_F_APPEND | (last ? NLM_F_ACK : 0);
	const uint16_t dns = htons(53);
	size_t message = begin_message(batch, (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWRULE, flags,
	                               NFPROTO_INET, 0);
	attribute_text(batch, NFTA_RULE_TABLE, "wafer");
	attribute_text(batch, NFTA_RULE_CHAIN, "out");
	size_t list = begin_nested(batch, NFTA_RULE_EXPRESSIONS);
	load_meta(batch, NFT_META_NFPROTO);
	compare(batch, NFT_CMP_EQ, &family, 1);
	not_loopback(batch, family);
	load_meta(batch, NFT_META_L4PROTO);
	compare(batch, NFT_CMP_EQ, &protocol, 1);
	if (protocol == IPPROTO_UDP) {
		load_payload(batch, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2); /* udphdr.dest */
		compare(batch, NFT_CMP_EQ, &dns, sizeof(dns));
	}
	redirect(batch, port);
	end_nested(batch, list);
	end_message(batch, message);
}

static void add_table_and_chain(struct batch *batch)
{
	size_t message = begin_message(batch, (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWTABLE,
	                               NLM_F_CREATE, NFPROTO_INET, 0);
	attribute_text(batch, NFTA_TABLE_NAME, "wafer");
	end_message(batch, message);
	message = begin_message(batch, (NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWCHAIN, NLM_F_CREATE,
	                        NFPROTO_INET, 0);
	attribute_text(batch, NFTA_CHAIN_TABLE, "wafer");
	attribute_text(batch, NFTA_CHAIN_NAME, "out");
	size_t hook = begin_nested(batch, NFTA_CHAIN_HOOK);
	attribute_number(batch, NFTA_HOOK_HOOKNUM, NF_INET_LOCAL_OUT);
	attribute_number(batch, NFTA_HOOK_PRIORITY, (uint32_t)NAT_PRIORITY);
	end_nested(batch, hook);
	attribute_text(batch, NFTA_CHAIN_TYPE, "nat");
	end_message(batch, message);
}

int nftables_redirect(const uint16_t tcp_port[2], const uint16_t udp_port[2])
{
	struct batch batch = { .sequence = 1 };
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[512];
	} answer;
	cleanup_fd int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (fd < 0)
		return fault(STEP, "netlink");
	end_message(&batch, begin_message(&batch, NFNL_MSG_BATCH_BEGIN, 0, AF_UNSPEC,
	                                  NFNL_SUBSYS_NFTABLES));
	add_table_and_chain(&batch);
	add_rule(&batch, NFPROTO_IPV4, IPPROTO_TCP, tcp_port[0], false);
	add_rule(&batch, NFPROTO_IPV6, IPPROTO_TCP, tcp_port[1], false);
	add_rule(&batch, NFPROTO_IPV4, IPPROTO_UDP, udp_port[0], false);
	add_rule(&batch, NFPROTO_IPV6, IPPROTO_UDP, udp_port[1], true);
	end_message(&batch,
	            begin_message(&batch, NFNL_MSG_BATCH_END, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES));
	if (send(fd, batch.data, batch.length, 0) < 0)
		return fault(STEP, "send");
	/* An error of any message comes first; without one, the acknowledgement of the last rule. */
	if (recv(fd, &answer, sizeof(answer), 0) < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)))
		return fault(STEP, "answer");
	errno = -answer.error.error;
	return answer.error.error ? fault(STEP, "the redirect was refused") : 0;
}
