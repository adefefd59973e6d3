#define _GNU_SOURCE
#include "CPacketLoad.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define LONGEST 2048

static const char zeros[LONGEST];

int packet_load_send(int socket, size_t length, unsigned count) {
    struct mmsghdr messages[PACKET_LOAD_BATCH];
    struct iovec part = {(void *)zeros, length < LONGEST ? length : LONGEST};
    memset(messages, 0, sizeof messages);
    for (unsigned index = 0; index < PACKET_LOAD_BATCH; index++) {
        messages[index].msg_hdr.msg_iov = &part;
        messages[index].msg_hdr.msg_iovlen = 1;
    }
    return sendmmsg(socket, messages, count < PACKET_LOAD_BATCH ? count : PACKET_LOAD_BATCH, MSG_NOSIGNAL);
}

int packet_load_receive(int socket, unsigned count) {
    char bytes[LONGEST];
    struct mmsghdr messages[PACKET_LOAD_BATCH];
    // All to the same place: what they say isn't looked at.
    struct iovec part = {bytes, sizeof bytes};
    memset(messages, 0, sizeof messages);
    for (unsigned index = 0; index < PACKET_LOAD_BATCH; index++) {
        messages[index].msg_hdr.msg_iov = &part;
        messages[index].msg_hdr.msg_iovlen = 1;
    }
    return recvmmsg(
        socket, messages, count < PACKET_LOAD_BATCH ? count : PACKET_LOAD_BATCH, MSG_WAITFORONE, NULL);
}

int packet_load_prepare(int socket) {
    int on = 1;
    return setsockopt(socket, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
}

int packet_load_answer(int socket) {
    char byte = 0;
    struct iovec part = {&byte, 1};
    struct sockaddr_in client;
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(struct in_pktinfo))];
    } control;
    struct msghdr message = {
        .msg_name = &client,
        .msg_namelen = sizeof client,
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof control,
    };
    if (recvmsg(socket, &message, 0) < 0) {
        return -1;
    }
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (header != NULL && header->cmsg_type == IP_PKTINFO) {
        struct in_pktinfo *info = (struct in_pktinfo *)CMSG_DATA(header);
        // The address that the datagram was sent to is the one to answer from; the route decides on the link.
        info->ipi_spec_dst = info->ipi_addr;
        info->ipi_ifindex = 0;
    }
    return sendmsg(socket, &message, MSG_NOSIGNAL) < 0 ? -1 : 0;
}
