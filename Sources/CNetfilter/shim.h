// libnftnl and libmnl with the kernel headers their constants come from. No wrappers: the functions are called as
// they are, and the function-like macros that Swift cannot import have one-line equivalents here.
#ifndef SLUICE_CNETFILTER_H
#define SLUICE_CNETFILTER_H

#include <sys/eventfd.h> // not in Swift's Glibc
#include <sys/socket.h>
#include <netinet/in.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/table.h>
#include <libnftnl/chain.h>
#include <libnftnl/rule.h>
#include <libnftnl/expr.h>
#include <libnftnl/set.h>
#include <libnftnl/udata.h>

#endif
