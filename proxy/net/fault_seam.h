// Makes a chosen system call of a worker thread fail: the program's own recv, send and so on stand
// before those of the C library. Threads that never wait for an epoll set are left alone, so that a
// test's clients and apps see a sound system.
#pragma once

#include <cstddef>

namespace pando::proxy {

enum class Fault {
  kBroken,       // the connection is gone: ECONNRESET, EPIPE, ECONNREFUSED
  kExhausted,    // of descriptors, memory or ports
  kInterrupted,  // EINTR, where a call may give it; others go through
  kPartial,      // one byte is sent, where more were to be
};

// The call number `at` (from 0) that a worker makes from now on fails.
void FailCall(size_t at, Fault fault);
// None does; calls are counted all the same.
void FailNoCall();
// Since the last of the two.
size_t CallsMade();

}  // namespace pando::proxy
