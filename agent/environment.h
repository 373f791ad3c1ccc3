// The environment an app starts with: nothing of the agent's own gets into it but the usual few.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/account.h"
#include "agent/core/assignment.h"

namespace pando::agent {

// "PANDO_INSTANCE_DIR=...": what names an instance's processes on this host.
std::string InstanceMark(const std::string& instance_dir);

// "NAME=value", sorted. Later sources win: PATH, HOME, LANG and TZ of `agent_environment` (a
// null-terminated environ); HOME, USER, LOGNAME and SHELL of `account`, if it runs as that; the
// variables of the spec's `files`; the spec's env; then PORT, PANDO_APP,
// PANDO_INSTANCE, PANDO_REVISION, PANDO_NODE, PANDO_INSTANCE_DIR and NODE_APP_INSTANCE.
std::vector<std::string> AppEnvironment(const char* const* agent_environment,
                                        const std::optional<Account>& account,
                                        const std::map<std::string, std::string>& files,
                                        const Assignment& assignment, const std::string& node,
                                        const std::string& instance_dir, uint16_t port);

}  // namespace pando::agent
