#include "agent/agent_state.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/runtime/log.h"

namespace pando::agent {
namespace {

absl::StatusOr<std::string> ReadLine(const std::string& path) {
  auto text = ReadFile(path);
  if (absl::IsNotFound(text.status())) return std::string();
  if (!text.ok()) return text.status();
  return std::string(absl::StripSuffix(*text, "\n"));
}

}  // namespace

absl::StatusOr<AgentState> AgentState::Load(const DataDir& dir) {
  AgentState state;
  state.path_ = dir.path();
  PANDO_ASSIGN_OR_RETURN(state.agent_id_, ReadLine(dir.File("agent_id")));
  if (state.agent_id_.empty()) {
    state.agent_id_ = RandomHexId();
    PANDO_RETURN_IF_ERROR(WriteFileAtomically(dir.File("agent_id"), state.agent_id_ + "\n"));
  }
  PANDO_ASSIGN_OR_RETURN(state.authority_.cluster_id, ReadLine(dir.File("cluster_id")));
  const std::string instances = dir.File("instances");
  if (mkdir(instances.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, absl::StrCat("cannot make ", instances));
  }
  auto bytes = ReadFile(dir.File("orders.pb"));
  if (absl::IsNotFound(bytes.status())) return state;
  if (!bytes.ok()) return bytes.status();
  v1::Orders orders;
  if (!orders.ParseFromString(*bytes)) {
    // What runs goes on running; the controller sends the orders again.
    LogError("the last orders cannot be read", {{"file", dir.File("orders.pb")}});
    return state;
  }
  state.authority_.term = orders.term();
  state.orders_ = std::move(orders);
  state.orders_bytes_ = *std::move(bytes);
  return state;
}

absl::Status AgentState::SaveOrders(const v1::Orders& orders) {
  std::string bytes = orders.SerializeAsString();
  if (bytes != orders_bytes_) {
    PANDO_RETURN_IF_ERROR(WriteFileAtomically(absl::StrCat(path_, "/orders.pb"), bytes));
    orders_bytes_ = std::move(bytes);
  }
  orders_ = orders;
  SawTerm(orders.term());
  return absl::OkStatus();
}

absl::Status AgentState::SaveClusterId(const std::string& cluster_id) {
  PANDO_RETURN_IF_ERROR(WriteFileAtomically(absl::StrCat(path_, "/cluster_id"), cluster_id + "\n"));
  authority_.cluster_id = cluster_id;
  return absl::OkStatus();
}

std::map<std::string, InstanceDir> AgentState::Instances() const {
  std::map<std::string, InstanceDir> instances;
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator(absl::StrCat(path_, "/instances"), ignored)) {
    if (!entry.is_directory(ignored)) continue;
    const std::string id = entry.path().filename().string();
    instances.emplace(id, InstanceOf(id));
  }
  return instances;
}

InstanceDir AgentState::InstanceOf(const std::string& assignment_id) const {
  return InstanceDir(absl::StrCat(path_, "/instances/", assignment_id));
}

}  // namespace pando::agent
