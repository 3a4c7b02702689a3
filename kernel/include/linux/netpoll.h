/* Datagrams without a network stack: to the host, through the doorbell. Mirrors Linux include/linux/netpoll.h. */
#ifndef _LINUX_NETPOLL_H
#define _LINUX_NETPOLL_H
#include <linux/types.h>

/* Addresses in network byte order. */
struct netpoll { const char *name; char dev_name[16]; u32 local_ip, remote_ip; u16 local_port, remote_port; u8 remote_mac[6]; };
/* `[port]@[ip]/[device],[port]@<ip>/[mac]`; 0, or an error that was said. */
int netpoll_parse_options(struct netpoll *np, char *opt);
void netpoll_print_options(const struct netpoll *np);
void netpoll_send_udp(struct netpoll *np, const char *msg, int len);

/* The doorbell's part: whether there is one, and a datagram through it (docs/doorbell.md, NETCONSOLE). */
bool doorbell_present(void);
void doorbell_datagram(u32 local_ip, u32 remote_ip, u32 ports, u64 mac, const char *bytes, u32 n);
#endif
