// pando-shim --incarnation N --port P --instance-dir D --app-dir A
//            [--fixed-port PORT [--preloaded yes]] [--cgroup DIR]...
//            [--open-files N] [--processes N] [--user UID:GID:GROUP,...]
//            [--new-privileges allowed] [--tmp private] [--read-only PATH]... -- COMMAND [ARG]...
// pando-shim --run probe --instance-dir D [the same limits...] -- COMMAND [ARG]...
//
// Started by pando-agent, one per running instance; with --run probe in front of a command: a
// probe's, or an install step's. Not for people. Its environment is the app's.
// Descriptors 3, 4 and 5 are inherited: see protocol.h.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <new>

#include "agent/shim/protocol.h"
#include "agent/shim/shim.h"

namespace {

// In static storage: it has no destructor to run and its buffers are no stack.
alignas(pando::shim::Shim) char shim_storage[sizeof(pando::shim::Shim)];

int Usage() {
  fputs("pando-shim is started by pando-agent and is of no use by itself\n", stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  pando::shim::Launch launch;
  pando::shim::Confinement& confinement = launch.app.confinement;
  pando::shim::Isolation& isolation = launch.app.isolation;
  const char* instance_dir = nullptr;
  bool is_probe = false;
  int i = 1;
  for (; i + 1 < argc && strcmp(argv[i], "--") != 0; i += 2) {
    if (strcmp(argv[i], "--incarnation") == 0) {
      launch.incarnation = static_cast<unsigned>(strtoul(argv[i + 1], nullptr, 10));
    } else if (strcmp(argv[i], "--port") == 0) {
      launch.port = static_cast<unsigned>(strtoul(argv[i + 1], nullptr, 10));
    } else if (strcmp(argv[i], "--fixed-port") == 0) {
      launch.app.lead.fixed = static_cast<uint16_t>(strtoul(argv[i + 1], nullptr, 10));
    } else if (strcmp(argv[i], "--preloaded") == 0) {
      launch.app.lead.preloaded = strcmp(argv[i + 1], "yes") == 0;
    } else if (strcmp(argv[i], "--run") == 0) {
      is_probe = strcmp(argv[i + 1], "probe") == 0;
    } else if (strcmp(argv[i], "--instance-dir") == 0) {
      instance_dir = argv[i + 1];
    } else if (strcmp(argv[i], "--app-dir") == 0) {
      launch.app.dir = argv[i + 1];
    } else if (strcmp(argv[i], "--cgroup") == 0 &&
               confinement.group_count < pando::shim::Confinement::kMaxGroups) {
      confinement.groups[confinement.group_count++] = argv[i + 1];
    } else if (strcmp(argv[i], "--open-files") == 0) {
      confinement.open_files = strtol(argv[i + 1], nullptr, 10);
    } else if (strcmp(argv[i], "--processes") == 0) {
      confinement.processes = strtol(argv[i + 1], nullptr, 10);
    } else if (strcmp(argv[i], "--user") == 0) {
      if (!isolation.ReadUser(argv[i + 1])) return Usage();
    } else if (strcmp(argv[i], "--new-privileges") == 0) {
      isolation.allow_new_privileges = strcmp(argv[i + 1], "allowed") == 0;
    } else if (strcmp(argv[i], "--tmp") == 0) {
      isolation.private_tmp = strcmp(argv[i + 1], "private") == 0;
    } else if (strcmp(argv[i], "--read-only") == 0 &&
               isolation.read_only_count < pando::shim::Isolation::kMaxReadOnly) {
      isolation.read_only[isolation.read_only_count++] = argv[i + 1];
    } else {
      return Usage();
    }
  }
  if (instance_dir == nullptr || i + 1 >= argc) return Usage();
  launch.app.argv = argv + i + 1;
  if (is_probe) {
    if (chdir(instance_dir) != 0) return Usage();
    pando::shim::RunProbe(launch.app);
  }
  for (int fd = pando::shim::kSessionFd; fd <= pando::shim::kLockFd; ++fd) {
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) return Usage();
  }
  setsid();
  if (chdir(instance_dir) != 0) return Usage();
  auto* shim = new (shim_storage) pando::shim::Shim(launch, pando::shim::kSessionFd);
  return shim->Run();
}
