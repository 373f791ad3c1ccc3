#include "ctl/identity.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace pando::ctl {

namespace {

constexpr size_t kMost = 128;  // what the controller takes

std::string UserName(const Terminal& terminal) {
  for (const char* variable : {"LOGNAME", "USER"}) {
    if (std::string name = terminal.Env(variable); !name.empty()) return name;
  }
  // Cron jobs and containers have neither.
  const passwd* entry = getpwuid(getuid());  // NOLINT(concurrency-mt-unsafe): one thread asks
  return entry == nullptr ? absl::StrCat("uid-", getuid()) : entry->pw_name;
}

std::string HostName() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

}  // namespace

std::string WhoAsks(const Terminal& terminal) {
  std::string who = terminal.Env("PANDO_BY");
  if (who.empty()) {
    const std::string host = HostName();
    who = absl::StrCat(UserName(terminal), host.empty() ? "" : "@", host);
  }
  std::replace_if(
      who.begin(), who.end(),
      [](char c) { return absl::ascii_iscntrl(static_cast<unsigned char>(c)); }, '?');
  return who.substr(0, kMost);
}

}  // namespace pando::ctl
