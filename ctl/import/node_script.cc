#include "ctl/import/node_script.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/runtime/unique_fd.h"

extern char** environ;

namespace pando::ctl {
namespace {

constexpr int kResultFd = 3;

// import() takes modules of both kinds. The result has a descriptor of its own: the file may print.
constexpr char kScript[] = R"(
const { pathToFileURL } = require('url');
const { writeFileSync } = require('fs');
import(pathToFileURL(process.argv[1]).href)
  .then((module) => module.default ?? module)
  .then((value) => (typeof value === 'function' ? value() : value))
  .then((value) => {
    const json = JSON.stringify(value);
    if (json === undefined) throw new Error('it exports nothing');
    writeFileSync(3, json);
    process.exit(0);
  })
  .catch((error) => {
    console.error(String(error && error.stack || error));
    process.exit(1);
  });
)";

std::string ReadAll(int fd) {
  std::string text;
  char block[4096];
  while (true) {
    const ssize_t size = read(fd, block, sizeof(block));
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return text;
    text.append(block, static_cast<size_t>(size));
  }
}

}  // namespace

absl::StatusOr<std::string> ExportsOf(const std::string& file, const std::string& node) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return absl::ErrnoToStatus(errno, "cannot make a pipe");
  const UniqueFd result(ends[0]);
  UniqueFd write_end(ends[1]);
  // On its number already, dup2 would leave it to be closed.
  if (write_end.get() == kResultFd)
    write_end.reset(fcntl(kResultFd, F_DUPFD_CLOEXEC, kResultFd + 1));

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, write_end.get(), kResultFd);
  posix_spawn_file_actions_adddup2(&actions, STDERR_FILENO, STDOUT_FILENO);
  std::string script = kScript;
  std::string path = std::filesystem::absolute(file).string();
  std::string program = node;
  std::string flag = "-e";
  char* argv[] = {program.data(), flag.data(), script.data(), path.data(), nullptr};
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, node.c_str(), &actions, nullptr, argv, environ);
  posix_spawn_file_actions_destroy(&actions);
  write_end.reset();
  if (error != 0) {
    return absl::NotFoundError(
        absl::StrCat(file, ": is a program and needs `", node, "` to run it (",
                     std::generic_category().message(error),
                     "); install Node.js, or import what it exports as JSON"));
  }
  std::string json = ReadAll(result.get());
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    return absl::InvalidArgumentError(absl::StrCat(file, ": node could not read it, see above"));
  }
  return json;
}

}  // namespace pando::ctl
