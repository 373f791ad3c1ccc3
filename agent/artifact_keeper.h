// The code that instances run, where it does not come with the node: each artifact is made ready
// once, whoever waits for it, and dropped when it was not used for long. Everything here runs on
// the loop; what takes time has threads of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "agent/artifact_job.h"
#include "agent/artifact_metrics.h"
#include "agent/core/assignment.h"
#include "common/base/backoff.h"
#include "common/runtime/event_loop.h"

namespace pando::agent {

struct ArtifactKeeperConfig {
  std::string dir;         // made when it is first needed; its parent exists
  std::string controller;  // host:port
  std::string shim_path;   // pando-shim: starts install steps of other users
  BackoffPolicy retry{Millis{1'000}, Millis{60'000}};
  size_t unused_kept = 5;  // of the newest that nobody needs: a rollback finds its code here
};

class ArtifactKeeper {
 public:
  // `loop` and `metrics` outlive it; `seed` is random.
  ArtifactKeeper(EventLoop& loop, ArtifactMetrics& metrics, ArtifactKeeperConfig config,
                 uint64_t seed);
  // Ends what is under way and waits for its end (an install step is killed).
  ~ArtifactKeeper();

  // Makes the command's directory, which is relative to the artifact, a path of this node.
  void Place(Assignment& assignment) const;

  // True when nothing is to be done: no artifact, or it is there. Counts as a use of it.
  bool Ready(const Artifact& artifact) const;

  struct Waiter {
    std::function<void(const std::string& detail)> told;  // what happens now; any number of times
    // Once. An error is for people, with what an install step printed last.
    std::function<void(const absl::Status& status, const std::vector<std::string>& lines)> done;
  };
  // The callbacks come later, on the loop. After an error the next call for the same artifact waits
  // for its turn to be tried again; a controller that cannot be reached is no error.
  void Prepare(const AssignmentId& id, const Artifact& artifact, Waiter waiter);
  // It does not wait any more; hears nothing from here on.
  void Forget(const AssignmentId& id);
  void ForgetAll();

  // Drops what is neither needed nor among the newest that were. Does nothing while an earlier
  // call's files are still being deleted.
  void Collect(const std::vector<Artifact>& needed);

 private:
  struct Work {
    Artifact artifact;
    std::map<AssignmentId, Waiter> waiters;
    std::string detail;
    int attempt = 0;
    Instant retry_at{};
    std::shared_ptr<ArtifactJob> job;  // null: not under way
    std::jthread thread;
  };

  void MakeDir();
  void StartWhatIsDue();
  void Start(const std::string& key, Work& work);
  void OnStep(const std::string& key, const std::string& detail);
  void OnDone(const std::string& key, const absl::Status& status);
  void Tell(Work& work, const std::string& detail);
  void StopIfNobodyWaits(Work& work);
  void Drop(const std::string& path, std::vector<std::string>& dropped);
  void TellKept() const;
  void Later(Millis delay, std::function<void()> task);

  EventLoop& loop_;
  ArtifactMetrics& metrics_;
  const ArtifactKeeperConfig config_;
  std::mt19937_64 random_;
  bool has_dir_ = false;
  std::map<std::string, Work> works_;  // by ArtifactKey
  uint64_t dropped_ = 0;               // makes names of what is being deleted
  bool deleting_ = false;
  std::jthread deletes_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();
};

}  // namespace pando::agent
