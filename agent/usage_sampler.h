// Reads what the instances and the host use, about once a second (of hundreds: every few), on a
// thread of its own: a host may have thousands of processes, and the loop is to hear of a crash at
// once.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/cgroup.h"
#include "agent/usage.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/runtime/event_loop.h"
#include "pando/v1/agent.pb.h"

namespace pando::agent {

// Used on the loop.
class UsageSampler {
 public:
  struct Subject {
    AssignmentId id;
    uint32_t incarnation = 0;
    pid_t shim = 0;
    Cgroup group;                   // empty: it has none
    uint64_t max_memory_bytes = 0;  // what it is held to; 0: nothing
  };
  struct InstanceUsage {
    uint32_t incarnation = 0;
    TreeUsage usage;  // cpu_seconds never falls within an incarnation
    uint64_t oom_kills = 0;
    uint64_t max_memory_bytes = 0;
  };

  // `subjects` says whom to read of, at each sample; `taken` is called after it. `groups`, null
  // where there are none, and `loop` outlive it.
  UsageSampler(EventLoop& loop, const CgroupTree* groups, std::string disk_path,
               std::function<std::vector<Subject>()> subjects, std::function<void()> taken);
  ~UsageSampler();
  UsageSampler(const UsageSampler&) = delete;
  UsageSampler& operator=(const UsageSampler&) = delete;

  void Start();

  // The last sample; nothing before the first.
  const std::map<AssignmentId, InstanceUsage>& instances() const { return instances_; }
  const std::optional<HostUsage>& host() const { return host_; }
  // Without orders_version.
  v1::Heartbeat ToHeartbeat() const;

 private:
  struct Sample {
    std::map<pid_t, TreeUsage> trees;
    std::map<AssignmentId, CgroupUsage> groups;
    HostUsage host;
  };

  void Ask();
  void Take(const std::vector<Subject>& subjects, const Sample& sample, Millis took);
  void ReadUntilStopped();

  EventLoop& loop_;
  const CgroupTree* const groups_;
  const std::string disk_path_;
  const std::function<std::vector<Subject>()> subjects_;
  const std::function<void()> taken_;
  std::map<AssignmentId, InstanceUsage> instances_;
  std::optional<HostUsage> host_;
  Instant sampled_at_{};
  std::shared_ptr<char> alive_ = std::make_shared<char>();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<std::vector<Subject>> asked_;  // guarded by mutex_
  bool stopping_ = false;                      // guarded by mutex_
  std::thread thread_;
};

}  // namespace pando::agent
