// One artifact made ready on this node: fetched, verified, unpacked, installed, made read-only.
// Runs on a thread of its own and blocks there; Stop may be called by another one.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "agent/account.h"
#include "agent/artifact_metrics.h"
#include "agent/core/assignment.h"
#include "common/runtime/executor.h"

namespace grpc {
class ClientContext;
}

namespace pando::agent {

// The files of one artifact below the agent's directory for them.
struct ArtifactPaths {
  std::string tree;    // where it is used
  std::string marker;  // there when the tree is complete; its time is that of the last use
  std::string part;    // what is fetched so far
  std::string packed;  // fetched and verified, until the tree is complete
  std::string lock;    // held by what installs, even when the agent died meanwhile
  std::string home;    // HOME of the install step, while it runs
  std::string log;     // what the install step printed, see install_log.h
};
// Of the same bytes two specs may ask for two install steps, or for the same one as two users: each
// gets its own tree.
std::string ArtifactKey(const Artifact& artifact);
ArtifactPaths PathsOf(const std::string& dir, const Artifact& artifact);

class ArtifactJob {
 public:
  // `shim_path` starts an install step of another user, `controller` is host:port. `step` is told
  // what happens now, for people. `clock`, of which only the time is asked, and `metrics` outlive
  // it.
  ArtifactJob(Artifact artifact, const std::string& dir, std::string shim_path,
              std::string controller, std::function<void(std::string)> step,
              ArtifactMetrics& metrics, const Executor& clock)
      : artifact_(std::move(artifact)),
        paths_(PathsOf(dir, artifact_)),
        shim_path_(std::move(shim_path)),
        controller_(std::move(controller)),
        step_(std::move(step)),
        metrics_(metrics),
        clock_(clock) {}

  // kUnavailable: the controller cannot be reached, or an earlier install step still runs; what was
  // fetched is kept, try again. kCancelled: stopped. Anything else is for people: "install failed:
  // exit 1: npm ERR! ...".
  absl::Status Run();
  void Stop();
  // The newest lines an install step printed. After Run.
  const std::vector<std::string>& last_lines() const { return last_lines_; }

 private:
  absl::Status Fetch();
  absl::Status FetchRest(int file, uint64_t offset);
  absl::Status UnpackAndInstall();
  absl::Status Install();
  absl::Status RunInstall();
  bool stopped() const { return stop_; }

  const Artifact artifact_;
  const ArtifactPaths paths_;
  const std::string shim_path_;
  const std::string controller_;
  const std::function<void(std::string)> step_;
  ArtifactMetrics& metrics_;
  const Executor& clock_;
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  grpc::ClientContext* call_ = nullptr;  // guarded by mutex_
  int lock_fd_ = -1;                     // while Run
  std::optional<Account> account_;       // whose the install step is, if not the agent's own
  std::vector<std::string> last_lines_;
};

}  // namespace pando::agent
