// Leads a port that an app has in its code to another one, in the kernel's way of seeing it: each
// bind() of the app, and of all it starts, waits until the shim has answered it. So it works for
// programs that preload no library or call the kernel themselves, with the app unchanged. Its other
// calls are not touched. IPv4 and IPv6, TCP and UDP, of 64-bit programs.
// No heap. Errors are errno's.
#pragma once

#include <stdint.h>
#include <sys/types.h>

namespace pando::shim {

// Which port, if any. To which one: the shim's own knowledge.
struct PortLead {
  uint16_t fixed = 0;      // 0: none
  bool preloaded = false;  // a library leads it too: where this cannot be, that has to do
};

// Has each bind() of this process, and of all it will start, told at the descriptor that is
// returned (closed by exec). -1: it cannot be. There is no way back, so somebody has to answer.
// Needs no_new_privs or CAP_SYS_ADMIN; Linux 5.6.
int InterceptBinds();

// Over a stream socket of the UNIX kind. Receiving does not wait: -1 when none was sent.
bool SendDescriptor(int socket, int fd);
int ReceiveDescriptor(int socket);

// False: this process may not see that one's memory and descriptors, as AnswerBind has to.
bool MayLookInto(pid_t pid);

// Answers one bind() that is told at `binds`, which is readable: one of port `fixed` is done with
// `own` in its place, and any other as the caller meant it. Does not block.
void AnswerBind(int binds, uint16_t fixed, uint16_t own);

}  // namespace pando::shim
