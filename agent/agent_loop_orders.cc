// What the agent loop does about orders: those of an earlier life of the agent, with what that left
// running, and those that come.
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "agent/agent_loop.h"
#include "agent/translate.h"
#include "common/runtime/log.h"

namespace pando::agent {
namespace {

constexpr Millis kOrdersRetry{1'000};

// As an instance that cannot be started for a reason of the host.
InstanceStatus FailedStatus(const Assignment& assignment) {
  InstanceStatus status;
  status.assignment = assignment.id;
  status.app = assignment.app;
  status.slot = assignment.slot;
  status.revision = assignment.revision;
  status.phase = Phase::kFailed;
  return status;
}

}  // namespace

void AgentLoop::Start() {
  for (const auto& [id, dir] : state_.Instances()) adoption_.Begin(Describe(id, dir), dir);
  if (state_.orders()) orders_version_ = state_.orders()->version();
  Apply(LastOrdered());
  CollectArtifactsSoon();
}

Assignment AgentLoop::Describe(const std::string& id, const InstanceDir& dir) const {
  v1::Orders order;
  const auto bytes = dir.ReadOrder();
  std::vector<Assignment> assignments;
  if (bytes.ok() && order.ParseFromString(*bytes)) assignments = Ordered(order);
  if (assignments.size() == 1 && assignments[0].id.value == id) return std::move(assignments[0]);
  // Cut short before its first start, or spoilt: it is stopped unless the orders describe it.
  if (bytes.ok()) dir.DropOrder();
  if (state_.orders()) assignments = Ordered(Excerpt(*state_.orders(), id));
  if (assignments.size() != 1) assignments = {Assignment{}};
  assignments[0].id = {id};
  return std::move(assignments[0]);
}

void AgentLoop::OnFound(Assignment assignment, FoundInstance found) {
  const AssignmentId id = assignment.id;
  overdue_.erase(id);
  if (found.state) kept_states_[id] = *found.state;
  if (found.shim) {
    LogInfo("instance taken over", {{"instance", InstanceName(assignment)},
                                    {"pid", absl::StrCat(found.remains.pid)},
                                    {"port", absl::StrCat(found.remains.port)}});
    Watch(id, found.remains.incarnation, *std::move(found.shim), std::nullopt);
  }
  supervisor_.Adopt(std::move(assignment), found.remains, loop_.Now());
}

void AgentLoop::OnOverdue(const Assignment& assignment, const absl::Status& why) {
  const std::string reason(why.message());
  LogError("instance is not taken over", {{"assignment", assignment.id.value}, {"reason", reason}});
  InstanceStatus& status = overdue_[assignment.id] = FailedStatus(assignment);
  status.detail = absl::StrCat("not taken over after the agent's restart: ", reason);
  metrics_.SetPhase(status.assignment, status.phase);
  uplink_.status(ToProto(status));
  CheckStopped();  // an end does not wait for it any more
}

std::vector<Assignment> AgentLoop::LastOrdered() const {
  if (state_.orders()) return Ordered(*state_.orders());
  // Orders that were lost are no order to stop.
  std::vector<Assignment> all;
  for (const Assignment* assignment : supervisor_.Assignments()) all.push_back(*assignment);
  return all;
}

// All but what may run already, as far as is known: that has its turn when it is found.
void AgentLoop::Apply(std::vector<Assignment> wanted) {
  std::erase_if(wanted, [this](const Assignment& one) { return adoption_.Seeks(one.id); });
  Actions actions;
  supervisor_.SetOrders(std::move(wanted), loop_.Now(), actions);
  CarryOut(actions);
}

void AgentLoop::OnFoundLater() {
  if (!halted_) return Apply(LastOrdered());
  Actions actions;
  supervisor_.Halt(loop_.Now(), actions);
  CarryOut(actions);
}

absl::Status AgentLoop::SetOrders(const v1::Orders& orders) {
  std::vector<Assignment> wanted = Ordered(orders);
  if (absl::Status s = CheckOrders(orders, wanted); !s.ok()) return s;
  if (absl::Status s = KeepOrders(orders); !s.ok()) {
    Postpone(orders, wanted, s);
    return s;
  }
  unkept_.reset();
  orders_version_ = orders.version();
  std::set<AssignmentId> gone = std::exchange(told_unkept_, {});
  for (const Assignment& assignment : wanted) gone.erase(assignment.id);
  for (const AssignmentId& id : gone) uplink_.gone(id.value);
  Apply(std::move(wanted));
  return absl::OkStatus();
}

absl::Status AgentLoop::CheckOrders(const v1::Orders& orders,
                                    const std::vector<Assignment>& wanted) const {
  if (absl::Status s = CheckAuthority(state_.authority(), {orders.cluster_id(), orders.term()});
      !s.ok()) {
    return s;
  }
  for (const Assignment& assignment : wanted) {
    if (!IsSafeFileName(assignment.id.value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("the orders hold an impossible assignment id: ", assignment.id.value));
    }
  }
  return absl::OkStatus();
}

absl::Status AgentLoop::KeepOrders(const v1::Orders& orders) {
  if (state_.authority().cluster_id.empty() && !orders.cluster_id().empty()) {
    if (absl::Status s = state_.SaveClusterId(orders.cluster_id()); !s.ok()) return s;
  }
  return state_.SaveOrders(orders);
}

void AgentLoop::Postpone(const v1::Orders& orders, const std::vector<Assignment>& wanted,
                         const absl::Status& why) {
  const bool is_retry = unkept_ && unkept_->version() == orders.version();
  unkept_ = orders;
  if (!retry_scheduled_) {
    retry_scheduled_ = true;
    Later(kOrdersRetry, [this] { RetryOrders(); });
  }
  if (is_retry) return;
  for (const Assignment& assignment : wanted) {
    if (supervisor_.Find(assignment.id) != nullptr || adoption_.Seeks(assignment.id)) continue;
    told_unkept_.insert(assignment.id);
    InstanceStatus status = FailedStatus(assignment);
    status.detail =
        absl::StrCat("the node cannot keep its orders: ", absl::string_view(why.message()));
    uplink_.status(ToProto(status));
  }
}

void AgentLoop::RetryOrders() {
  retry_scheduled_ = false;
  if (!unkept_) return;
  const v1::Orders orders = *unkept_;
  if (SetOrders(orders).ok()) {
    LogInfo("orders are kept after all", {{"version", absl::StrCat(orders.version())}});
  } else if (absl::IsFailedPrecondition(
                 CheckAuthority(state_.authority(), {orders.cluster_id(), orders.term()}))) {
    unkept_.reset();  // another leader's count by now
  }
}

std::vector<Assignment> AgentLoop::Ordered(const v1::Orders& orders) const {
  std::vector<Assignment> assignments = ToAssignments(orders);
  for (Assignment& assignment : assignments) artifacts_.Place(assignment);
  return assignments;
}

}  // namespace pando::agent
