// What the agent itself keeps on disk: who it is, whom it obeys, and its last orders.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "agent/core/order_fence.h"
#include "agent/instance_dir.h"
#include "common/runtime/data_dir.h"
#include "pando/v1/agent.pb.h"

namespace pando::agent {

// Files are replaced atomically and synced: after a crash the old or the new contents are there.
class AgentState {
 public:
  // Makes the agent's id at its first start.
  static absl::StatusOr<AgentState> Load(const DataDir& dir);

  const std::string& agent_id() const { return agent_id_; }
  // The directory of the code that was fetched; made when there is some.
  std::string ArtifactsPath() const { return path_ + "/artifacts"; }
  // The directory of the logs of instances that are gone.
  std::string EarlierLogsPath() const { return path_ + "/earlier-logs"; }
  const Authority& authority() const { return authority_; }
  // The last orders; nothing before the first, or when their file cannot be read.
  const std::optional<v1::Orders>& orders() const { return orders_; }

  // Written before they are acted on. Does nothing when they are the same.
  absl::Status SaveOrders(const v1::Orders& orders);
  absl::Status SaveClusterId(const std::string& cluster_id);
  void SawTerm(uint64_t term) { authority_.term = std::max(authority_.term, term); }

  // Directories of instances that exist, by assignment id.
  std::map<std::string, InstanceDir> Instances() const;
  InstanceDir InstanceOf(const std::string& assignment_id) const;

 private:
  std::string path_;
  std::string agent_id_;
  Authority authority_;
  std::optional<v1::Orders> orders_;
  std::string orders_bytes_;
};

}  // namespace pando::agent
