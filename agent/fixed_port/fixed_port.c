// Preloaded into an app that hard-codes its port. PANDO_FIXED_PORT=8080:20013 says that where it
// binds 8080 it gets 20013, so that many of it run on one host, and that where it connects to
// 8080 on this host, which is itself, it gets there. For dynamically linked programs.
//
// IPv4 and IPv6, TCP and UDP; every other port and every other kind of socket is left alone, and so
// is everything while the variable is missing or malformed. getsockname() tells the port there
// really is. Thread-safe: reads the environment once, before main, and keeps no other state.
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PUBLIC __attribute__((visibility("default")))

typedef int (*AddressCall)(int fd, const struct sockaddr* address, socklen_t size);

static AddressCall real_bind;
static AddressCall real_connect;
static uint16_t fixed_port;  // in network order; 0: nothing to replace
static uint16_t own_port;

// Reads a port that ends with `end`; 0 when there is none.
static uint16_t ReadPort(const char** text, char end) {
  if (**text < '1' || **text > '9') return 0;
  char* rest = NULL;
  const unsigned long value = strtoul(*text, &rest, 10);
  if (*rest != end || value > UINT16_MAX) return 0;
  *text = rest + 1;
  return htons((uint16_t)value);
}

static AddressCall Next(const char* name) {
  // The cast through a union: ISO C has no conversion from an object pointer to a function's.
  union {
    void* object;
    AddressCall function;
  } found = {.object = dlsym(RTLD_NEXT, name)};
  return found.function;
}

__attribute__((constructor)) static void ReadEnvironment(void) {
  real_bind = Next("bind");
  real_connect = Next("connect");
  const char* text = getenv("PANDO_FIXED_PORT");
  if (text == NULL) return;
  const uint16_t fixed = ReadPort(&text, ':');
  if (fixed == 0) return;
  own_port = ReadPort(&text, '\0');
  if (own_port != 0) fixed_port = fixed;
}

static bool IsThisHost(const struct in_addr* address) {
  const uint32_t number = ntohl(address->s_addr);
  return number >> 24 == 127 || number == 0;
}

static bool IsThisHost6(const struct in6_addr* address) {
  if (IN6_IS_ADDR_V4MAPPED(address)) {
    struct in_addr mapped;
    memcpy(&mapped, &address->s6_addr[12], sizeof(mapped));
    return IsThisHost(&mapped);
  }
  return IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_UNSPECIFIED(address);
}

// Calls `real` with the own port where the address has the fixed one. With a copy: the caller's
// address is not ours to change.
static int Call(AddressCall real, int fd, const struct sockaddr* address, socklen_t size,
                bool this_host_only) {
  if (real == NULL) {
    errno = ENOSYS;
    return -1;
  }
  if (fixed_port == 0 || address == NULL || size < sizeof(struct sockaddr_in)) {
    return real(fd, address, size);
  }
  if (address->sa_family == AF_INET) {
    struct sockaddr_in copy;
    memcpy(&copy, address, sizeof(copy));
    if (copy.sin_port == fixed_port && (!this_host_only || IsThisHost(&copy.sin_addr))) {
      copy.sin_port = own_port;
      return real(fd, (const struct sockaddr*)&copy, sizeof(copy));
    }
  }
  if (address->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6)) {
    struct sockaddr_in6 copy;
    memcpy(&copy, address, sizeof(copy));
    if (copy.sin6_port == fixed_port && (!this_host_only || IsThisHost6(&copy.sin6_addr))) {
      copy.sin6_port = own_port;
      return real(fd, (const struct sockaddr*)&copy, sizeof(copy));
    }
  }
  return real(fd, address, size);
}

PUBLIC int bind(int fd, const struct sockaddr* address, socklen_t size) {
  return Call(real_bind, fd, address, size, false);
}

PUBLIC int connect(int fd, const struct sockaddr* address, socklen_t size) {
  return Call(real_connect, fd, address, size, true);
}
