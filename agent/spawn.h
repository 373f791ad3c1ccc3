// What every process this agent starts has in common: posix_spawn's arguments, and attributes that
// undo what a child would inherit.
#pragma once

#include <signal.h>
#include <spawn.h>

#include <string>
#include <vector>

namespace pando::agent {

// As execve takes them; valid while `strings` is neither changed nor gone.
inline std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  pointers.reserve(strings.size() + 1);
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Signals as a fresh process has them, none blocked and none ignored; and whatever `flags` asks
// for: POSIX_SPAWN_SETSID, or POSIX_SPAWN_SETPGROUP for a group of its own.
class SpawnAttributes {
 public:
  explicit SpawnAttributes(int flags) {
    posix_spawnattr_init(&attributes_);
    sigset_t set;
    sigemptyset(&set);
    posix_spawnattr_setsigmask(&attributes_, &set);
    sigfillset(&set);
    posix_spawnattr_setsigdefault(&attributes_, &set);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(
        &attributes_, static_cast<short>(flags | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
  }
  ~SpawnAttributes() { posix_spawnattr_destroy(&attributes_); }
  SpawnAttributes(const SpawnAttributes&) = delete;
  SpawnAttributes& operator=(const SpawnAttributes&) = delete;

  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_{};
};

}  // namespace pando::agent
