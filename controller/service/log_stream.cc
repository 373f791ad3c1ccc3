// Logs: asks the agents that have the target's instances, and merges their lines as they come.
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/service/admin_streams.h"
#include "controller/service/admin_views.h"
#include "controller/service/grpc_status.h"

namespace pando::controller {
namespace {

constexpr size_t kMaxQueuedLines = 10'000;
constexpr size_t kMaxQueuedBytes = 4 << 20;
// Instances that come to life while somebody follows are shown from their first line.
constexpr uint32_t kAllLines = 100'000;

class LogStream final : public LoopWriteStream<v1::LogEntry> {
 public:
  LogStream(ControlLoop& control, OpenStreams& streams, AgentService& agents,
            v1::LogsRequest request)
      : LoopWriter(control.loop(), streams),
        control_(control),
        agents_(agents),
        request_(std::move(request)) {}

 private:
  // One instance's log as far as this stream goes.
  struct Source {
    std::string instance;
    NodeId node;
    uint32_t tail_lines = 0;      // to ask for; 0 once it was read: it goes on where it is
    std::optional<uint64_t> log;  // being read
    bool refused = false;         // said that it cannot be read
  };

  void OnOpen() override {
    if (absl::Status status = FindTarget(); !status.ok()) return Close(ToGrpc(status));
    OpenSources(request_.tail());
    if (request_.follow()) {
      watch_ = control_.Watch([this] { OpenSources(kAllLines); });
    }
    CloseIfComplete();
  }

  void OnEnd() override {
    if (watch_ != 0) control_.Unwatch(watch_);
    for (const auto& [id, source] : sources_) {
      if (source.log) agents_.CancelLog(*source.log);
    }
  }

  // "web", "web.3" or, when there is one app, nothing.
  absl::Status FindTarget() {
    const std::string& target = request_.target();
    const size_t dot = target.rfind('.');
    const auto app = ResolveApp(control_.cluster(), target.substr(0, dot));
    if (!app.ok()) return app.status();
    app_ = *app;
    if (dot != std::string::npos) instance_ = target;
    if (instance_.empty()) return absl::OkStatus();
    for (const InstanceStatus& status : control_.cluster().GetInstances(app_)) {
      if (NameOf(status) == instance_) return absl::OkStatus();
    }
    return absl::NotFoundError(absl::StrCat("no instance ", instance_));
  }

  static std::string NameOf(const InstanceStatus& status) {
    return InstanceName(status.assignment.app, status.assignment.slot);
  }

  // Reads what is not being read yet; `tail_lines` is for those that are seen for the first time.
  void OpenSources(uint32_t tail_lines) {
    std::set<AssignmentId> present;
    for (const InstanceStatus& status : control_.cluster().GetInstances(app_)) {
      const Assignment& assignment = status.assignment;
      if (assignment.id.empty() || (!instance_.empty() && NameOf(status) != instance_)) continue;
      present.insert(assignment.id);
      const auto [it, is_new] = sources_.try_emplace(
          assignment.id, Source{NameOf(status), assignment.node, tail_lines, {}, false});
      if (is_new || it->second.refused) Open(assignment.id, it->second);
    }
    // Those that are gone and were read to their end need not be remembered.
    std::erase_if(sources_, [&](const auto& entry) {
      return !entry.second.log && present.count(entry.first) == 0;
    });
    Pump();
  }

  void Open(const AssignmentId& id, Source& source) {
    const auto log = agents_.OpenLog({source.node, id, source.tail_lines, request_.follow()},
                                     [this, id](const v1::LogChunk& chunk) { OnChunk(id, chunk); });
    if (log.ok()) {
      source.log = *log;
      source.tail_lines = 0;
      source.refused = false;
      return;
    }
    if (!std::exchange(source.refused, true)) {
      AddNotice(source, std::string(log.status().message()));
    }
  }

  void OnChunk(const AssignmentId& id, const v1::LogChunk& chunk) {
    const auto it = sources_.find(id);
    if (it == sources_.end()) return;
    Source& source = it->second;
    for (const v1::LogLine& line : chunk.lines()) {
      v1::LogEntry entry;
      entry.set_instance(source.instance);
      entry.set_node(source.node.value);
      entry.set_time_unix_ms(line.time_unix_ms());
      entry.set_is_stderr(line.is_stderr());
      entry.set_text(line.text());
      Add(std::move(entry));
    }
    if (chunk.end()) {
      source.log.reset();
      if (!chunk.error().empty()) {
        source.refused = true;  // may be read again when its node is back
        AddNotice(source, chunk.error());
      }
      CloseIfComplete();
    }
    Pump();
  }

  void AddNotice(const Source& source, std::string text) {
    v1::LogEntry entry;
    entry.set_instance(source.instance);
    entry.set_node(source.node.value);
    entry.set_notice(std::move(text));
    Add(std::move(entry));
  }

  void Add(v1::LogEntry entry) {
    if (queue_.size() >= kMaxQueuedLines || queued_bytes_ >= kMaxQueuedBytes) {
      ++lost_lines_;
      return;
    }
    queued_bytes_ += entry.text().size();
    queue_.push_back(std::move(entry));
  }

  std::optional<v1::LogEntry> NextMessage() override {
    if (!queue_.empty()) {
      v1::LogEntry entry = std::move(queue_.front());
      queue_.pop_front();
      queued_bytes_ -= entry.text().size();
      return entry;
    }
    if (lost_lines_ == 0) return std::nullopt;
    v1::LogEntry entry;
    entry.set_notice(absl::StrCat(std::exchange(lost_lines_, 0),
                                  " lines were lost: they came faster than they were read"));
    return entry;
  }

  void CloseIfComplete() {
    if (request_.follow()) return;
    for (const auto& [id, source] : sources_) {
      if (source.log) return;
    }
    CloseWhenDrained(grpc::Status::OK);
  }

  ControlLoop& control_;
  AgentService& agents_;
  const v1::LogsRequest request_;
  AppId app_;
  std::string instance_;  // empty: all of the app
  std::map<AssignmentId, Source> sources_;
  std::deque<v1::LogEntry> queue_;
  size_t queued_bytes_ = 0;
  uint64_t lost_lines_ = 0;
  uint64_t watch_ = 0;
};

}  // namespace

grpc::ServerWriteReactor<v1::LogEntry>* NewLogStream(ControlLoop& control, OpenStreams& streams,
                                                     AgentService& agents,
                                                     v1::LogsRequest request) {
  auto* stream = new LogStream(control, streams, agents, std::move(request));
  stream->Begin();
  return stream;
}

}  // namespace pando::controller
