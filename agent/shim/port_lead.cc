#include "agent/shim/port_lead.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

namespace pando::shim {
namespace {

#if defined(__x86_64__)
constexpr uint32_t kMachine = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kMachine = AUDIT_ARCH_AARCH64;
#else
#error "which calls are bind() is not known for this machine"
#endif

int PidfdOpen(pid_t pid) { return static_cast<int>(syscall(SYS_pidfd_open, pid, 0)); }
int PidfdGetfd(int pidfd, int fd) {
  return static_cast<int>(syscall(SYS_pidfd_getfd, pidfd, fd, 0));
}

// The process that thread `tid` is of; 0: there is none.
pid_t ProcessOf(pid_t tid) {
  char text[512];
  snprintf(text, sizeof(text), "/proc/%d/status", static_cast<int>(tid));
  const int fd = open(text, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const ssize_t size = read(fd, text, sizeof(text) - 1);
  close(fd);
  if (size <= 0) return 0;
  text[size] = '\0';
  const char* const found = strstr(text, "\nTgid:");
  return found != nullptr ? atoi(found + strlen("\nTgid:")) : 0;
}

// A copy of descriptor `fd` of the process that `tid` is a thread of; -1: none.
int CopyDescriptor(pid_t tid, int fd) {
  const pid_t pid = ProcessOf(tid);
  if (pid == 0) {
    errno = ESRCH;
    return -1;
  }
  const int pidfd = PidfdOpen(pid);
  if (pidfd < 0) return -1;
  const int copy = PidfdGetfd(pidfd, fd);
  const int error = errno;
  close(pidfd);
  errno = error;
  return copy;
}

struct Address {
  sockaddr_storage bytes = {};
  socklen_t size = 0;

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&bytes); }
  // In both families at the same place.
  in_port_t& port() { return reinterpret_cast<sockaddr_in*>(&bytes)->sin_port; }
  bool has_port() const {
    return size >= sizeof(sockaddr_in) &&
           (bytes.ss_family == AF_INET || bytes.ss_family == AF_INET6);
  }
};

bool ReadAddress(const seccomp_notif& call, Address& address) {
  const auto size = static_cast<int>(call.data.args[2]);
  if (size <= 0 || static_cast<size_t>(size) > sizeof(address.bytes)) return false;
  address.size = static_cast<socklen_t>(size);
  const iovec ours = {&address.bytes, address.size};
  const iovec theirs = {reinterpret_cast<void*>(call.data.args[1]), address.size};  // NOLINT
  return process_vm_readv(static_cast<pid_t>(call.pid), &ours, 1, &theirs, 1, 0) == size;
}

bool IsBoundTo(int fd, in_port_t port) {
  Address bound;
  bound.size = sizeof(bound.bytes);
  return getsockname(fd, reinterpret_cast<sockaddr*>(&bound.bytes), &bound.size) == 0 &&
         bound.port() == port;
}

// Binds the caller's socket for it. Returns 0 or an errno.
int BindFor(int binds, const seccomp_notif& call, Address& address) {
  const int copy =
      CopyDescriptor(static_cast<pid_t>(call.pid), static_cast<int>(call.data.args[0]));
  if (copy < 0) return errno;
  int error = 0;
  // The pid may be another's by now: while the call waits it is not.
  if (ioctl(binds, SECCOMP_IOCTL_NOTIF_ID_VALID, &call.id) != 0) {
    error = ESRCH;
  } else if (bind(copy, address.get(), address.size) != 0) {
    error = errno;
    // Before Linux 5.19 a signal makes the caller ask again for what was done.
    if (error == EINVAL && IsBoundTo(copy, address.port())) error = 0;
  }
  close(copy);
  return error;
}

}  // namespace

int InterceptBinds() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kMachine, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bind, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
  // This is no sandbox: nothing has to be slower for it. And once a call is told, only the end of
  // its caller takes it back (since Linux 5.19).
  const unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW;
  const long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                          flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, &program);
  if (fd >= 0 || errno != EINVAL) return static_cast<int>(fd);
  return static_cast<int>(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
}

bool SendDescriptor(int socket, int fd) {
  char byte = 0;
  iovec data = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(fd))] = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(fd));
  memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  return sendmsg(socket, &message, MSG_NOSIGNAL) == 1;
}

int ReceiveDescriptor(int socket) {
  char byte = 0;
  iovec data = {&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  if (recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1) return -1;
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) return -1;
  int fd = -1;
  memcpy(&fd, CMSG_DATA(header), sizeof(fd));
  return fd;
}

bool MayLookInto(pid_t pid) {
  const int pidfd = PidfdOpen(pid);
  if (pidfd < 0) return errno == ESRCH;
  const int copy = PidfdGetfd(pidfd, STDIN_FILENO);
  const int error = errno;
  close(pidfd);
  if (copy >= 0) close(copy);
  errno = error;
  // It may have closed its standard input, or have ended.
  return copy >= 0 || error == EBADF || error == ESRCH;
}

void AnswerBind(int binds, uint16_t fixed, uint16_t own) {
  seccomp_notif call = {};
  if (ioctl(binds, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0) return;  // its caller has just ended
  seccomp_notif_resp answer = {};
  answer.id = call.id;
  Address address;
  if (ReadAddress(call, address) && address.has_port() && address.port() == htons(fixed)) {
    address.port() = htons(own);
    answer.error = -BindFor(binds, call, address);
  } else {
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
  }
  ioctl(binds, SECCOMP_IOCTL_NOTIF_SEND, &answer);
}

}  // namespace pando::shim
