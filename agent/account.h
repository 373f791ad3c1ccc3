// Users and groups of the host, by name or number. Asks the host's directory (passwd, LDAP, ...),
// which may block.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/core/assignment.h"

namespace pando::agent {

struct Account {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // the supplementary ones; `gid` is among them
  // Empty where a number has no entry.
  std::string name;
  std::string home;
  std::string shell;
};

// As whom an instance runs; nothing when that is as the agent does. A number without an entry is
// fine, and its group is the same number unless one is given. kNotFound: there is no such name
// here; kPermissionDenied: only root may become somebody else.
absl::StatusOr<std::optional<Account>> FindAccount(const Isolation& isolation);

}  // namespace pando::agent
