#include "agent/outbox.h"

#include <iterator>
#include <utility>

namespace pando::agent {

v1::AgentMessage& Outbox::Change(const std::string& assignment_id) {
  const auto known = change_of_.find(assignment_id);
  if (known != change_of_.end()) return *known->second;
  changes_.emplace_back();
  change_of_[assignment_id] = std::prev(changes_.end());
  return changes_.back();
}

void Outbox::Status(v1::InstanceStatus status) {
  v1::AgentMessage& message = Change(status.assignment_id());
  *message.mutable_status() = std::move(status);
}

void Outbox::Gone(const std::string& assignment_id) {
  Change(assignment_id).mutable_gone()->set_assignment_id(assignment_id);
}

void Outbox::Heartbeat(v1::Heartbeat heartbeat) { heartbeat_ = std::move(heartbeat); }

void Outbox::LogChunk(v1::LogChunk chunk) { chunks_.push_back(std::move(chunk)); }

void Outbox::Clear() {
  changes_.clear();
  change_of_.clear();
  heartbeat_.reset();
  chunks_.clear();
}

std::optional<v1::AgentMessage> Outbox::Next() {
  if (!changes_.empty()) {
    v1::AgentMessage message = std::move(changes_.front());
    change_of_.erase(message.has_gone() ? message.gone().assignment_id()
                                        : message.status().assignment_id());
    changes_.pop_front();
    return message;
  }
  v1::AgentMessage message;
  if (heartbeat_) {
    *message.mutable_heartbeat() = *std::exchange(heartbeat_, std::nullopt);
    return message;
  }
  if (!chunks_.empty()) {
    *message.mutable_log_chunk() = std::move(chunks_.front());
    chunks_.pop_front();
    return message;
  }
  return std::nullopt;
}

}  // namespace pando::agent
