#include "agent/usage_sampler.h"

#include <algorithm>
#include <set>
#include <utility>

namespace pando::agent {
namespace {

constexpr Millis kInterval{1'000};
// The pause is so many times longer than the reading took: at most a third of 1 % of a CPU goes
// into it. Some hundred instances are read every few seconds then.
constexpr int kRestShare = 300;

}  // namespace

UsageSampler::UsageSampler(EventLoop& loop, const CgroupTree* groups, std::string disk_path,
                           std::function<std::vector<Subject>()> subjects,
                           std::function<void()> taken)
    : loop_(loop),
      groups_(groups),
      disk_path_(std::move(disk_path)),
      subjects_(std::move(subjects)),
      taken_(std::move(taken)) {}

UsageSampler::~UsageSampler() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void UsageSampler::Start() {
  thread_ = std::thread([this] { ReadUntilStopped(); });
  Ask();
}

v1::Heartbeat UsageSampler::ToHeartbeat() const {
  v1::Heartbeat heartbeat;
  if (!host_) return heartbeat;
  for (const auto& [id, instance] : instances_) {
    v1::InstanceUsage& added = *heartbeat.add_usage();
    added.set_assignment_id(id.value);
    added.set_incarnation(instance.incarnation);
    added.set_cpu_seconds(instance.usage.cpu_seconds);
    added.set_memory_bytes(instance.usage.memory_bytes);
    added.set_open_fds(instance.usage.open_fds);
    added.set_processes(instance.usage.processes);
    added.set_max_memory_bytes(instance.max_memory_bytes);
    added.set_oom_kills(instance.oom_kills);
  }
  v1::NodeUsage& node = *heartbeat.mutable_node();
  node.set_cpu_seconds(host_->cpu_seconds);
  node.set_cpus(std::thread::hardware_concurrency());
  node.set_load1(host_->load1);
  node.set_memory_bytes(host_->memory_bytes);
  node.set_memory_available_bytes(host_->memory_available_bytes);
  node.set_disk_bytes(host_->disk_bytes);
  node.set_disk_available_bytes(host_->disk_available_bytes);
  node.set_oom_kills(host_->oom_kills);
  heartbeat.set_sampled_at_seconds(
      std::chrono::duration<double>(sampled_at_.time_since_epoch()).count());
  return heartbeat;
}

void UsageSampler::Ask() {
  {
    const std::lock_guard lock(mutex_);
    asked_ = subjects_();
  }
  changed_.notify_all();
}

void UsageSampler::Take(const std::vector<Subject>& subjects, const Sample& sample, Millis took) {
  std::map<AssignmentId, InstanceUsage> before = std::exchange(instances_, {});
  for (const Subject& subject : subjects) {
    const auto tree = sample.trees.find(subject.shim);
    if (tree == sample.trees.end()) continue;
    InstanceUsage& now = instances_[subject.id];
    now = {subject.incarnation, tree->second, 0, subject.max_memory_bytes};
    // The kernel's own count, where it keeps one: also of processes that came and went.
    if (const auto group = sample.groups.find(subject.id); group != sample.groups.end()) {
      const CgroupUsage& counted = group->second;
      if (counted.cpu_seconds > 0) now.usage.cpu_seconds = counted.cpu_seconds;
      if (counted.memory_bytes > 0) now.usage.memory_bytes = counted.memory_bytes;
      now.oom_kills = counted.oom_kills;
    }
    const auto known = before.find(subject.id);
    // Time of a process that was not waited for vanishes with it.
    if (known != before.end() && known->second.incarnation == subject.incarnation) {
      now.usage.cpu_seconds = std::max(now.usage.cpu_seconds, known->second.usage.cpu_seconds);
    }
  }
  host_ = sample.host;
  sampled_at_ = loop_.Now();
  taken_();
  loop_.RunAfter(std::max(kInterval, took * kRestShare), [this, alive = std::weak_ptr(alive_)] {
    if (!alive.expired()) Ask();
  });
}

void UsageSampler::ReadUntilStopped() {
  while (true) {
    std::vector<Subject> subjects;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || asked_; });
      if (stopping_) return;
      subjects = *std::exchange(asked_, std::nullopt);
    }
    const Instant began = loop_.Now();
    std::set<pid_t> shims;
    for (const Subject& subject : subjects) shims.insert(subject.shim);
    Sample sample{ReadTreeUsage(shims), {}, ReadHostUsage(disk_path_)};
    for (const Subject& subject : subjects) {
      if (groups_ != nullptr && !subject.group.empty()) {
        sample.groups[subject.id] = groups_->Read(subject.group);
      }
    }
    const auto took = std::chrono::duration_cast<Millis>(loop_.Now() - began);
    loop_.Post([this, alive = std::weak_ptr(alive_), subjects = std::move(subjects),
                sample = std::move(sample), took] {
      if (!alive.expired()) Take(subjects, sample, took);
    });
  }
}

}  // namespace pando::agent
