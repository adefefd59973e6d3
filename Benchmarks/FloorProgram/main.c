// The least that programming a node takes: a bare libnftnl program that makes the messages of one transaction and sends
// them. What it makes them of is read from a file of such messages, before the clock starts: libnftnl's own objects, one
// for each message. It has nothing to plan, to compare or to remember.

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>

/// One message: its header, and the object that it carries.
struct item {
    uint16_t type;
    uint16_t flags;
    uint16_t family;
    void *object;
    uint32_t set_id;
};

struct batch {
    struct item *items;
    size_t count;
    /// Of the file, in bytes.
    size_t size;
};

static void fail(const char *what, int error)
{
    fprintf(stderr, "FloorProgram: %s: %s\n", what, strerror(error));
    exit(1);
}

static uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    struct stat status;
    if (file == NULL || fstat(fileno(file), &status) != 0)
        fail(path, errno);
    uint8_t *bytes = malloc((size_t) status.st_size + 1);
    if (bytes == NULL)
        fail(path, ENOMEM);
    *size = fread(bytes, 1, (size_t) status.st_size, file);
    if (ferror(file) || *size != (size_t) status.st_size)
        fail(path, EIO);
    fclose(file);
    return bytes;
}

static int find_set_id(const struct nlattr *attribute, void *id)
{
    if (mnl_attr_get_type(attribute) == NFTA_SET_ID)
        *(uint32_t *) id = ntohl(mnl_attr_get_u32(attribute));
    return MNL_CB_OK;
}

/// The object of a message; ends the program where libnftnl can't read it.
static void parse(const struct nlmsghdr *message, struct item *item)
{
    const struct nfgenmsg *generic = mnl_nlmsg_get_payload(message);
    item->type = NFNL_MSG_TYPE(message->nlmsg_type);
    item->flags = message->nlmsg_flags;
    item->family = generic->nfgen_family;
    int result = -1;
    switch (item->type) {
    case NFT_MSG_NEWTABLE:
        item->object = nftnl_table_alloc();
        result = nftnl_table_nlmsg_parse(message, item->object);
        break;
    case NFT_MSG_NEWCHAIN:
        item->object = nftnl_chain_alloc();
        result = nftnl_chain_nlmsg_parse(message, item->object);
        break;
    case NFT_MSG_NEWRULE:
        item->object = nftnl_rule_alloc();
        result = nftnl_rule_nlmsg_parse(message, item->object);
        break;
    case NFT_MSG_NEWSET:
        item->object = nftnl_set_alloc();
        result = nftnl_set_nlmsg_parse(message, item->object);
        // Only a transaction has it, so libnftnl doesn't look for it.
        mnl_attr_parse(message, sizeof(struct nfgenmsg), find_set_id, &item->set_id);
        nftnl_set_set_u32(item->object, NFTNL_SET_ID, item->set_id);
        break;
    case NFT_MSG_NEWSETELEM:
        item->object = nftnl_set_alloc();
        result = nftnl_set_elems_nlmsg_parse(message, item->object);
        break;
    default:
        errno = ENOTSUP;
    }
    if (result != 0)
        fail("a message in the file", errno != 0 ? errno : EINVAL);
}

static struct batch read_batch(const char *path)
{
    struct batch batch = { 0 };
    uint8_t *bytes = read_file(path, &batch.size);
    int rest = (int) batch.size;
    size_t room = 0;
    for (struct nlmsghdr *message = (void *) bytes; mnl_nlmsg_ok(message, rest);
         message = mnl_nlmsg_next(message, &rest)) {
        if (NFNL_SUBSYS_ID(message->nlmsg_type) != NFNL_SUBSYS_NFTABLES)
            continue; // the batch's begin and end
        if (batch.count == room) {
            room = room == 0 ? 1024 : room * 2;
            batch.items = realloc(batch.items, room * sizeof *batch.items);
            if (batch.items == NULL)
                fail("memory for messages", ENOMEM);
        }
        batch.items[batch.count] = (struct item) { 0 };
        parse(message, &batch.items[batch.count]);
        batch.count += 1;
    }
    free(bytes);
    if (batch.count == 0)
        fail(path, ENODATA);
    return batch;
}

/// Writes all messages, begin and end of the batch among them. Returns how many bytes they are.
static size_t build(const struct batch *batch, char *buffer)
{
    char *end = buffer;
    uint32_t sequence = 1;
    struct nlmsghdr *message = nftnl_batch_begin(end, sequence++);
    end += NLMSG_ALIGN(message->nlmsg_len);
    for (size_t index = 0; index < batch->count; index += 1) {
        const struct item *item = &batch->items[index];
        // The function adds the request's own flag.
        message = nftnl_nlmsg_build_hdr(
            end, item->type, item->family, item->flags & ~NLM_F_REQUEST, sequence++);
        switch (item->type) {
        case NFT_MSG_NEWTABLE:
            nftnl_table_nlmsg_build_payload(message, item->object);
            break;
        case NFT_MSG_NEWCHAIN:
            nftnl_chain_nlmsg_build_payload(message, item->object);
            break;
        case NFT_MSG_NEWRULE:
            nftnl_rule_nlmsg_build_payload(message, item->object);
            break;
        case NFT_MSG_NEWSET:
            nftnl_set_nlmsg_build_payload(message, item->object);
            break;
        default:
            nftnl_set_elems_nlmsg_build_payload(message, item->object);
        }
        end += NLMSG_ALIGN(message->nlmsg_len);
    }
    message = nftnl_batch_end(end, sequence);
    return (size_t) (end - buffer) + NLMSG_ALIGN(message->nlmsg_len);
}

/// Sends the batch, and reads answers until the one to its last message.
static void commit(struct mnl_socket *socket, const char *bytes, size_t size, uint32_t last)
{
    static char answer[1 << 16];
    if (mnl_socket_sendto(socket, bytes, size) < 0)
        fail("send the transaction", errno);
    while (true) {
        ssize_t length = mnl_socket_recvfrom(socket, answer, sizeof answer);
        if (length < 0)
            fail("receive the kernel's answer", errno);
        int rest = (int) length;
        for (struct nlmsghdr *message = (void *) answer; mnl_nlmsg_ok(message, rest);
             message = mnl_nlmsg_next(message, &rest)) {
            if (message->nlmsg_type != NLMSG_ERROR)
                continue;
            const struct nlmsgerr *error = mnl_nlmsg_get_payload(message);
            if (error->error != 0) {
                fprintf(stderr, "FloorProgram: message %" PRIu32 ": ", message->nlmsg_seq);
                fail("refused", -error->error);
            }
            if (message->nlmsg_seq == last)
                return;
        }
    }
}

static double seconds(struct timespec from, struct timespec to)
{
    return (double) (to.tv_sec - from.tv_sec) + (double) (to.tv_nsec - from.tv_nsec) / 1e9;
}

static double cpu_seconds(struct timeval from, struct timeval to)
{
    return (double) (to.tv_sec - from.tv_sec) + (double) (to.tv_usec - from.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fputs("usage: FloorProgram FILE\n"
              "Sends the nf_tables transaction whose messages are in FILE, in this network namespace.\n", stderr);
        return 64;
    }
    const struct batch batch = read_batch(argv[1]);
    struct mnl_socket *socket = mnl_socket_open(NETLINK_NETFILTER);
    if (socket == NULL || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
        fail("open a netlink socket", errno);
    // Twice what the file has: libnftnl doesn't look for the room that is left.
    const size_t room = batch.size * 2 + (1 << 20);
    char *buffer = malloc(room);
    if (buffer == NULL)
        fail("memory for the transaction", ENOMEM);
    const int send_room = (int) batch.size + (1 << 20), receive_room = 8 << 20;
    const int descriptor = mnl_socket_get_fd(socket);
    if (setsockopt(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, &send_room, sizeof send_room) != 0 ||
        setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &receive_room, sizeof receive_room) != 0)
        fail("enlarge the socket's buffers", errno);

    struct timespec began, built, done;
    struct rusage before, after;
    getrusage(RUSAGE_SELF, &before);
    clock_gettime(CLOCK_MONOTONIC, &began);
    const size_t size = build(&batch, buffer);
    clock_gettime(CLOCK_MONOTONIC, &built);
    // The first message is the batch's begin.
    commit(socket, buffer, size, (uint32_t) batch.count + 1);
    clock_gettime(CLOCK_MONOTONIC, &done);
    getrusage(RUSAGE_SELF, &after);

    printf("{\"messages\":%zu,\"bytes\":%zu,\"encode_s\":%.6f,\"commit_s\":%.6f,\"user_s\":%.6f,\"system_s\":%.6f}\n",
           batch.count + 2, size, seconds(began, built), seconds(built, done),
           cpu_seconds(before.ru_utime, after.ru_utime), cpu_seconds(before.ru_stime, after.ru_stime));
    free(buffer);
    mnl_socket_close(socket);
    return 0;
}
