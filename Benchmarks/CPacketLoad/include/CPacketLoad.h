// What Swift's Glibc module leaves out: sendmmsg and recvmmsg hide behind _GNU_SOURCE.
#pragma once

#include <stddef.h>

/// The most datagrams that one call sends or receives.
#define PACKET_LOAD_BATCH 64

/// Sends `count` (at most PACKET_LOAD_BATCH) datagrams of `length` zero bytes (at most 2048) on a connected socket with
/// one call. Returns how many were sent, or -1 and errno.
int packet_load_send(int socket, size_t length, unsigned count);

/// Receives at most `count` (at most PACKET_LOAD_BATCH) datagrams with one call; waits for the first one, as long as
/// the socket's timeout. Returns how many came, or -1 and errno.
int packet_load_receive(int socket, unsigned count);

/// Lets packet_load_answer answer from the address that a datagram was sent to. Returns 0, or -1 and errno.
int packet_load_prepare(int socket);

/// Waits for a datagram, as long as the socket's timeout, and answers it with one of a byte, from the address that it
/// was sent to. Returns 0, or -1 and errno.
int packet_load_answer(int socket);
