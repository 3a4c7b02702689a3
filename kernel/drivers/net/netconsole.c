/*
 * A console of UDP datagrams: `netconsole=[+][port]@[ip]/[device],[port]@<ip>/[mac]`, several by `;`. With `+` records
 * go out as /dev/kmsg shows them, in fragments where one datagram is too small. Mirrors Linux drivers/net/netconsole.c.
 */
#include <linux/console.h>
#include <linux/kernel.h>
#include <linux/netpoll.h>

#define MAX_PRINT_CHUNK 1000
#define MAX_TARGETS 4
static struct netconsole_target { struct netpoll np; bool extended; } targets[MAX_TARGETS];
static int target_count;
static char config[256];
static bool oops_only;

static void send_ext_msg_udp(struct netconsole_target *nt, const char *msg, int len)
{
	static char buf[MAX_PRINT_CHUNK]; /* one CPU prints at a time */
	const char *body = strchr(msg, ';');
	int header = body ? (int)(body - msg) : 0, length = len - header - 1;

	if (len <= MAX_PRINT_CHUNK || !body || header > MAX_PRINT_CHUNK / 2) {
		netpoll_send_udp(&nt->np, msg, min(len, MAX_PRINT_CHUNK));
		return;
	}
	memcpy(buf, msg, header);
	for (int offset = 0, chunk; offset < length; offset += chunk) {
		int head = header + scnprintf(buf + header, sizeof(buf) - header, ",ncfrag=%d/%d;", offset, length);

		chunk = min(length - offset, MAX_PRINT_CHUNK - head);
		memcpy(buf + head, body + 1 + offset, chunk);
		netpoll_send_udp(&nt->np, buf, head + chunk);
	}
}

static void write_ext_msg(struct console *con, const char *msg, size_t len)
{
	if (oops_only && !oops_in_progress)
		return;
	for (int i = 0; i < target_count; i++)
		if (targets[i].extended)
			send_ext_msg_udp(&targets[i], msg, len);
}

static void write_msg(struct console *con, const char *msg, size_t len)
{
	if (oops_only && !oops_in_progress)
		return;
	for (int i = 0; i < target_count; i++)
		for (size_t done = 0; !targets[i].extended && done < len; done += MAX_PRINT_CHUNK)
			netpoll_send_udp(&targets[i].np, msg + done, min(len - done, (size_t)MAX_PRINT_CHUNK));
}

static struct console netconsole_ext = { .name = "netcon_ext", .write = write_ext_msg, .flags = CON_EXTENDED };
static struct console netconsole = { .name = "netcon", .write = write_msg };

static int option_setup(char *opt)
{
	strscpy(config, opt, sizeof(config));
	return 1;
}
__setup("netconsole=", option_setup);

static int oops_only_setup(char *value)
{
	oops_only = *value == '1' || *value == 'y' || *value == 'Y';
	return 1;
}
__setup("netconsole.oops_only=", oops_only_setup);

static int alloc_param_target(struct netconsole_target *nt, char *opt)
{
	*nt = (struct netconsole_target){ .np = { .name = "netconsole", .dev_name = "eth0", .local_port = 6665, .remote_port = 6666,
						  .remote_mac = { 255, 255, 255, 255, 255, 255 } } };
	if (*opt == '+') {
		nt->extended = true;
		opt++;
	}
	if (netpoll_parse_options(&nt->np, opt))
		return -EINVAL;
	if (strcmp(nt->np.dev_name, "eth0") || !doorbell_present()) {
		pr_err("netpoll: netconsole: %s doesn't exist, aborting\n", nt->np.dev_name);
		return -ENODEV;
	}
	if (!nt->np.local_ip) {
		pr_err("netpoll: netconsole: no IP address for %s, aborting\n", nt->np.dev_name);
		return -EINVAL;
	}
	return 0;
}

static int init_netconsole(void)
{
	bool plain = false, extended = false;

	for (char *opt = config; *opt && target_count < MAX_TARGETS;) {
		char *next = strchr(opt, ';');

		if (next)
			*next++ = 0;
		if (alloc_param_target(&targets[target_count], opt)) {
			target_count = 0;
			pr_err("netconsole: cleaning up\n");
			return -EINVAL;
		}
		if (targets[target_count].extended)
			extended = true;
		else
			plain = true;
		target_count++;
		opt = next ? next : "";
	}
	if (!target_count)
		return 0;
	if (extended)
		register_console(&netconsole_ext);
	if (plain)
		register_console(&netconsole);
	pr_info("netconsole: network logging started\n");
	return 0;
}
late_initcall(init_netconsole);
