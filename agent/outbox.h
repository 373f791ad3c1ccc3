// What waits to be sent to the controller. Bounded: of every assignment only the newest word is
// kept, and log chunks are made only while there is room. Pure.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <optional>
#include <string>

#include "pando/v1/agent.pb.h"

namespace pando::agent {

class Outbox {
 public:
  void Status(v1::InstanceStatus status);
  void Gone(const std::string& assignment_id);
  void Heartbeat(v1::Heartbeat heartbeat);
  void LogChunk(v1::LogChunk chunk);
  bool HasLogRoom() const { return chunks_.size() < kMaxChunks; }
  void Clear();

  // The next message: changes first, in the order of their first mention; then the heartbeat, then
  // logs.
  std::optional<v1::AgentMessage> Next();

 private:
  static constexpr size_t kMaxChunks = 8;

  v1::AgentMessage& Change(const std::string& assignment_id);

  std::list<v1::AgentMessage> changes_;
  std::map<std::string, std::list<v1::AgentMessage>::iterator> change_of_;  // by assignment
  std::optional<v1::Heartbeat> heartbeat_;
  std::deque<v1::LogChunk> chunks_;
};

}  // namespace pando::agent
