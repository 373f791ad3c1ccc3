#include "agent/account.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <array>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace pando::agent {
namespace {

constexpr size_t kMostGroups = 256;  // as many as the shim takes

// A buffer for the *_r functions, which do not say how much they need.
using Buffer = std::array<char, 64 * 1024>;

void Take(const passwd& entry, Account& account) {
  account.uid = entry.pw_uid;
  account.gid = entry.pw_gid;
  account.name = entry.pw_name;
  account.home = entry.pw_dir;
  account.shell = entry.pw_shell;
}

absl::Status FindUser(const std::string& user, Account& account) {
  auto buffer = std::make_unique<Buffer>();
  passwd entry = {};
  passwd* found = nullptr;
  uint32_t number = 0;
  if (absl::SimpleAtoi(user, &number)) {
    account.uid = number;
    account.gid = number;
    getpwuid_r(number, &entry, buffer->data(), buffer->size(), &found);
  } else {
    getpwnam_r(user.c_str(), &entry, buffer->data(), buffer->size(), &found);
    if (found == nullptr) {
      return absl::NotFoundError(absl::StrCat("isolation.user: no user ", user, " on this node"));
    }
  }
  if (found != nullptr) Take(entry, account);
  return absl::OkStatus();
}

absl::StatusOr<gid_t> FindGroup(const std::string& name) {
  uint32_t number = 0;
  if (absl::SimpleAtoi(name, &number)) return number;
  auto buffer = std::make_unique<Buffer>();
  group entry = {};
  group* found = nullptr;
  getgrnam_r(name.c_str(), &entry, buffer->data(), buffer->size(), &found);
  if (found == nullptr) {
    return absl::NotFoundError(absl::StrCat("isolation.group: no group ", name, " on this node"));
  }
  return entry.gr_gid;
}

}  // namespace

absl::StatusOr<std::optional<Account>> FindAccount(const Isolation& isolation) {
  if (isolation.user.empty() && isolation.group.empty()) return std::nullopt;
  Account account;
  PANDO_RETURN_IF_ERROR(
      FindUser(isolation.user.empty() ? absl::StrCat(geteuid()) : isolation.user, account));
  if (!isolation.group.empty()) {
    PANDO_ASSIGN_OR_RETURN(account.gid, FindGroup(isolation.group));
  }
  if (geteuid() != 0) {
    if (account.uid == geteuid() && account.gid == getegid()) return std::nullopt;
    return absl::PermissionDeniedError(
        absl::StrCat("isolation: running as ", isolation.user, isolation.group.empty() ? "" : ":",
                     isolation.group, " needs an agent that runs as root"));
  }
  account.groups = {account.gid};
  if (account.name.empty()) return account;
  int count = kMostGroups;
  account.groups.resize(kMostGroups);
  if (getgrouplist(account.name.c_str(), account.gid, account.groups.data(), &count) < 0) {
    return absl::OutOfRangeError(absl::StrCat("isolation.user: ", account.name, " is in more than ",
                                              kMostGroups, " groups"));
  }
  account.groups.resize(static_cast<size_t>(count));
  return account;
}

}  // namespace pando::agent
