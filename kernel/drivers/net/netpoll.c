/* Where netconsole's datagrams go: the one device, eth0, is the host's doorbell. Mirrors Linux net/core/netpoll.c. */
#include <linux/kernel.h>
#include <linux/netpoll.h>

#define np_info(np, ...) pr_info("netpoll: " __VA_ARGS__)

static bool parse_ip(const char *text, u32 *ip)
{
	u32 value = 0;

	for (int i = 0; i < 4; i++) {
		char *end;
		unsigned long part = simple_strtoul(text, &end, 10);

		if (end == text || part > 255 || *end != (i < 3 ? '.' : 0))
			return false;
		value |= part << 8 * i;
		text = end + 1;
	}
	*ip = value;
	return true;
}

static bool parse_mac(const char *text, u8 *mac)
{
	for (int i = 0; i < 6; i++) {
		char *end;
		unsigned long part = simple_strtoul(text, &end, 16);

		if (end != text + 2 || *end != (i < 5 ? ':' : 0))
			return false;
		mac[i] = part;
		text = end + 1;
	}
	return true;
}

/* The text up to a separator, which becomes its end; *at moves behind it. */
static char *field(char **at, char separator)
{
	char *start = *at, *end = start ? strchr(start, separator) : NULL;

	if (!end)
		return NULL;
	*end = 0;
	*at = end + 1;
	return start;
}

static bool parse_port(const char *text, u16 *port)
{
	char *end;
	unsigned long value = simple_strtoul(text, &end, 10);

	if (!*text)
		return true;
	if (*end || end == text || value > 65535)
		return false;
	*port = value;
	return true;
}

int netpoll_parse_options(struct netpoll *np, char *opt)
{
	char *at = opt, *local_port = field(&at, '@'), *local_ip = field(&at, '/'), *device = field(&at, ',');
	char *remote_port = field(&at, '@'), *remote_ip = field(&at, '/');

	if (!local_port || !local_ip || !device || !remote_port || !remote_ip || !parse_port(local_port, &np->local_port) ||
	    !parse_port(remote_port, &np->remote_port) || (*local_ip && !parse_ip(local_ip, &np->local_ip)) ||
	    !parse_ip(remote_ip, &np->remote_ip) || (*at && !parse_mac(at, np->remote_mac))) {
		np_info(np, "%s: couldn't parse config at '%s'!\n", np->name, at ? at : "");
		return -EINVAL;
	}
	if (*device)
		strscpy(np->dev_name, device, sizeof(np->dev_name));
	netpoll_print_options(np);
	return 0;
}

#define IP(ip) (ip) & 255, (ip) >> 8 & 255, (ip) >> 16 & 255, (ip) >> 24

void netpoll_print_options(const struct netpoll *np)
{
	const u8 *mac = np->remote_mac;

	np_info(np, "%s: local port %d\n", np->name, np->local_port);
	np_info(np, "%s: local IPv4 address %u.%u.%u.%u\n", np->name, IP(np->local_ip));
	np_info(np, "%s: interface '%s'\n", np->name, np->dev_name);
	np_info(np, "%s: remote port %d\n", np->name, np->remote_port);
	np_info(np, "%s: remote IPv4 address %u.%u.%u.%u\n", np->name, IP(np->remote_ip));
	np_info(np, "%s: remote ethernet address %02x:%02x:%02x:%02x:%02x:%02x\n", np->name, mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

void netpoll_send_udp(struct netpoll *np, const char *msg, int len)
{
	u64 mac = 0;

	memcpy(&mac, np->remote_mac, sizeof(np->remote_mac));
	doorbell_datagram(np->local_ip, np->remote_ip, (u32)np->local_port << 16 | np->remote_port, mac, msg, len);
}
