#include "agent/environment.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace pando::agent {

namespace {

constexpr char kMarkName[] = "PANDO_INSTANCE_DIR";

}  // namespace

std::string InstanceMark(const std::string& instance_dir) {
  return absl::StrCat(kMarkName, "=", instance_dir);
}

std::vector<std::string> AppEnvironment(const char* const* agent_environment,
                                        const std::optional<Account>& account,
                                        const std::map<std::string, std::string>& files,
                                        const Assignment& assignment, const std::string& node,
                                        const std::string& instance_dir, uint16_t port) {
  static constexpr std::string_view kPassed[] = {"PATH", "HOME", "LANG", "TZ"};
  std::map<std::string, std::string> variables;
  for (const char* const* entry = agent_environment; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    if (name.size() < text.size() &&
        std::find(std::begin(kPassed), std::end(kPassed), name) != std::end(kPassed)) {
      variables[std::string(name)] = std::string(text.substr(name.size() + 1));
    }
  }
  if (account) {
    variables.erase("HOME");  // the agent's is not its own
    if (!account->name.empty()) {
      variables["HOME"] = account->home;
      variables["USER"] = account->name;
      variables["LOGNAME"] = account->name;
      variables["SHELL"] = account->shell;
    }
  }
  for (const auto& [name, value] : files) variables[name] = value;
  for (const auto& [name, value] : assignment.command.env) variables[name] = value;
  variables["PORT"] = absl::StrCat(port);
  variables["PANDO_APP"] = assignment.app.value;
  variables["PANDO_INSTANCE"] = InstanceName(assignment);
  variables["PANDO_REVISION"] = absl::StrCat(assignment.revision);
  variables["PANDO_NODE"] = node;
  variables[kMarkName] = instance_dir;
  variables["NODE_APP_INSTANCE"] = absl::StrCat(assignment.slot > 0 ? assignment.slot - 1 : 0);

  std::vector<std::string> environment;
  for (const auto& [name, value] : variables) environment.push_back(absl::StrCat(name, "=", value));
  return environment;
}

}  // namespace pando::agent
