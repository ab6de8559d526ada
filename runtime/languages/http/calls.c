/* The calls that are open. A call that ended stays until the next sweep: events of the round may still name it. */
#include "wafer-http.h"

static struct call *calls;

bool calls_open(uint32_t number, const struct settings *s, const char *json, size_t n)
{
	struct call *c = call_new(number, s, json, n);
	if (!c)
		return false;
	c->next = calls;
	calls = c;
	return true;
}

struct call *calls_find(uint32_t number)
{
	for (struct call *c = calls; c; c = c->next)
		if (c->number == number && !c->dead)
			return c;
	return NULL;
}

bool calls_empty(void)
{
	return calls == NULL;
}

int calls_timeout(void)
{
	int soonest = -1;
	for (struct call *c = calls; c; c = c->next) {
		int timeout = call_timeout(c);
		if (timeout >= 0 && (soonest < 0 || timeout < soonest))
			soonest = timeout;
	}
	return soonest;
}

void calls_advance(void)
{
	bool host_is_slow = control_pending() > CONTROL_HIGH;
	for (struct call *c = calls; c; c = c->next)
		call_advance(c, host_is_slow);
}

void calls_last_words(void)
{
	for (struct call *c = calls; c; c = c->next)
		call_last_words(c);
}

void calls_sweep(void)
{
	for (struct call **at = &calls; *at;) {
		struct call *c = *at;
		if (!c->dead) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		call_free(c);
	}
}
