#include "agent/artifact_keeper.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "artifact/core/source_name.h"
#include "artifact/seal.h"
#include "common/runtime/data_dir.h"
#include "common/runtime/log.h"

namespace pando::agent {
namespace {

namespace fs = std::filesystem;

constexpr int kMostAtOnce = 4;
constexpr char kGone[] = ".gone-";
constexpr char kMarker[] = ".ok";

}  // namespace

ArtifactKeeper::ArtifactKeeper(EventLoop& loop, ArtifactMetrics& metrics,
                               ArtifactKeeperConfig config, uint64_t seed)
    : loop_(loop), metrics_(metrics), config_(std::move(config)), random_(seed) {}

ArtifactKeeper::~ArtifactKeeper() {
  for (auto& [key, work] : works_) {
    if (work.job != nullptr) work.job->Stop();
  }
  works_.clear();  // joins
}

void ArtifactKeeper::Place(Assignment& assignment) const {
  if (assignment.artifact.digest.empty()) return;
  const std::string tree = PathsOf(config_.dir, assignment.artifact).tree;
  std::string& dir = assignment.command.dir;
  dir = dir.empty() ? tree : absl::StrCat(tree, "/", dir);
}

bool ArtifactKeeper::Ready(const Artifact& artifact) const {
  if (artifact.digest.empty()) return true;
  // Its time tells the newest from the others.
  return utimensat(AT_FDCWD, PathsOf(config_.dir, artifact).marker.c_str(), nullptr, 0) == 0;
}

void ArtifactKeeper::MakeDir() {
  if (std::exchange(has_dir_, true)) return;
  mkdir(config_.dir.c_str(), 0711);
  // Instances of other users have to get through to their code, though they can list nothing on
  // the way and read none of the agent's own files. Who is not root starts none of another user.
  if (geteuid() == 0) chmod(fs::path(config_.dir).parent_path().c_str(), 0711);
}

void ArtifactKeeper::Prepare(const AssignmentId& id, const Artifact& artifact, Waiter waiter) {
  MakeDir();
  if (!artifact::IsDigest(artifact.digest)) {
    return Later(Millis{0}, [done = std::move(waiter.done)] {
      done(absl::InvalidArgumentError("source: bad digest in the orders"), {});
    });
  }
  Work& work = works_[ArtifactKey(artifact)];
  work.artifact = artifact;
  Later(Millis{0}, [this, id, key = ArtifactKey(artifact)] {
    const auto found = works_.find(key);
    if (found == works_.end()) return;
    const auto who = found->second.waiters.find(id);
    if (who != found->second.waiters.end()) who->second.told(found->second.detail);
  });
  if (work.detail.empty()) work.detail = "waits for its turn";
  work.waiters.insert_or_assign(id, std::move(waiter));
  StartWhatIsDue();
}

void ArtifactKeeper::Forget(const AssignmentId& id) {
  for (auto& [key, work] : works_) {
    if (work.waiters.erase(id) > 0) StopIfNobodyWaits(work);
  }
}

void ArtifactKeeper::ForgetAll() {
  for (auto& [key, work] : works_) {
    work.waiters.clear();
    StopIfNobodyWaits(work);
  }
}

void ArtifactKeeper::StopIfNobodyWaits(Work& work) {
  if (work.waiters.empty() && work.job != nullptr) work.job->Stop();
}

void ArtifactKeeper::StartWhatIsDue() {
  auto running = std::count_if(works_.begin(), works_.end(),
                               [](const auto& entry) { return entry.second.job != nullptr; });
  const Instant now = loop_.Now();
  for (auto& [key, work] : works_) {
    if (running >= kMostAtOnce) return;
    if (work.job != nullptr || work.waiters.empty() || work.retry_at > now) continue;
    Start(key, work);
    ++running;
  }
}

void ArtifactKeeper::Start(const std::string& key, Work& work) {
  const std::weak_ptr<char> alive = alive_;
  work.job = std::make_shared<ArtifactJob>(
      work.artifact, config_.dir, config_.shim_path, config_.controller,
      [this, alive, key](std::string detail) {
        loop_.Post([this, alive, key, detail = std::move(detail)] {
          if (!alive.expired()) OnStep(key, detail);
        });
      },
      metrics_, loop_);
  work.thread = std::jthread([this, alive, key, job = work.job] {
    const absl::Status status = job->Run();
    loop_.Post([this, alive, key, status] {
      if (!alive.expired()) OnDone(key, status);
    });
  });
}

void ArtifactKeeper::OnStep(const std::string& key, const std::string& detail) {
  const auto found = works_.find(key);
  if (found != works_.end()) Tell(found->second, detail);
}

void ArtifactKeeper::Tell(Work& work, const std::string& detail) {
  if (std::exchange(work.detail, detail) == detail) return;
  // A copy: who is told may change the list.
  const std::map<AssignmentId, Waiter> waiters = work.waiters;
  for (const auto& [id, waiter] : waiters) waiter.told(detail);
}

void ArtifactKeeper::OnDone(const std::string& key, const absl::Status& status) {
  const auto found = works_.find(key);
  if (found == works_.end()) return;
  Work& work = found->second;
  const std::vector<std::string> lines = work.job->last_lines();
  work.thread.join();
  work.job.reset();
  if (status.ok() || (absl::IsCancelled(status) && work.waiters.empty())) {
    if (status.ok()) {
      LogInfo("artifact ready", {{"artifact", key}});
      TellKept();
    }
    const std::map<AssignmentId, Waiter> waiters = std::move(work.waiters);
    works_.erase(found);
    for (const auto& [id, waiter] : waiters) waiter.done(status, {});
    return StartWhatIsDue();
  }
  const double unit = static_cast<double>(random_() % 1'000) / 1'000;
  const Millis pause =
      absl::IsCancelled(status) ? Millis{0} : Backoff(config_.retry, work.attempt++, unit);
  work.retry_at = loop_.Now() + pause;
  Later(pause, [this] { StartWhatIsDue(); });
  const std::string reason(status.message());
  if (absl::IsUnavailable(status) || absl::IsCancelled(status)) {
    Tell(work, absl::StrCat("waits to fetch its code: ", reason));
    return StartWhatIsDue();
  }
  LogError("artifact cannot be made ready", {{"artifact", key}, {"reason", reason}});
  work.detail = absl::StrCat(reason, "; is tried again");
  const std::map<AssignmentId, Waiter> waiters = std::exchange(work.waiters, {});
  for (const auto& [id, waiter] : waiters) waiter.done(status, lines);
  StartWhatIsDue();
}

void ArtifactKeeper::Drop(const std::string& path, std::vector<std::string>& dropped) {
  std::string gone = absl::StrCat(path, kGone, getpid(), "-", dropped_++);
  if (rename(path.c_str(), gone.c_str()) == 0) dropped.push_back(std::move(gone));
}

void ArtifactKeeper::Collect(const std::vector<Artifact>& needed) {
  if (deleting_) return;  // the next time
  std::set<std::string> keys;
  for (const Artifact& artifact : needed) {
    Ready(artifact);  // needed until now
    keys.insert(ArtifactKey(artifact));
  }
  for (auto work = works_.begin(); work != works_.end();) {
    const bool idle = work->second.job == nullptr && work->second.waiters.empty();
    if (idle && !keys.contains(work->first)) {
      work = works_.erase(work);
      continue;
    }
    keys.insert(work->first);
    ++work;
  }
  std::vector<std::pair<fs::file_time_type, std::string>> unused;  // complete trees
  std::vector<std::string> paths, dropped;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(config_.dir, error)) {
    const std::string name = entry.path().filename().string();
    const std::string key = name.substr(0, name.find('.'));
    if (absl::StrContains(name, kGone)) {
      dropped.push_back(entry.path().string());  // of an earlier life
    } else if (keys.contains(key)) {
      continue;
    } else if (absl::EndsWith(name, kMarker)) {
      unused.emplace_back(entry.last_write_time(error), key);
    } else {
      paths.push_back(entry.path().string());
    }
  }
  std::sort(unused.rbegin(), unused.rend());
  if (unused.size() > config_.unused_kept) unused.resize(config_.unused_kept);
  std::set<std::string> kept;
  for (const auto& [time, key] : unused) kept.insert(key);
  for (const auto& entry : fs::directory_iterator(config_.dir, error)) {
    const std::string name = entry.path().filename().string();
    const std::string key = name.substr(0, name.find('.'));
    if (absl::EndsWith(name, kMarker) && !keys.contains(key) && !kept.contains(key)) {
      unlink(entry.path().c_str());  // first: what is half deleted is not complete
    }
  }
  for (const std::string& path : paths) {
    const std::string name = fs::path(path).filename().string();
    if (!kept.contains(name.substr(0, name.find('.')))) Drop(path, dropped);
  }
  TellKept();
  if (dropped.empty()) return;
  deleting_ = true;
  deletes_ = std::jthread([this, alive = std::weak_ptr<char>(alive_), dropped] {
    for (const std::string& path : dropped) artifact::RemoveTree(path).IgnoreError();
    loop_.Post([this, alive] {
      if (!alive.expired()) deleting_ = false;
    });
  });
}

void ArtifactKeeper::TellKept() const {
  size_t artifacts = 0;
  uint64_t bytes = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(config_.dir, error)) {
    if (entry.path().extension() != kMarker) continue;
    ++artifacts;
    uint64_t one = 0;
    const auto text = ReadFile(entry.path().string());
    if (text.ok() && absl::SimpleAtoi(*text, &one)) bytes += one;
  }
  metrics_.SetKept(artifacts, bytes);
}

void ArtifactKeeper::Later(Millis delay, std::function<void()> task) {
  loop_.RunAfter(delay, [alive = std::weak_ptr<char>(alive_), task = std::move(task)] {
    if (!alive.expired()) task();
  });
}

}  // namespace pando::agent
