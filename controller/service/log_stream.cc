// Logs: asks the agents that have the target's instances, and merges their lines by time.
//
// Nothing is dropped for a reader that is slow: agents are asked for more only when lines were
// taken, and read their files at that pace.
#include <algorithm>
#include <chrono>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controller/service/admin_streams.h"
#include "controller/service/admin_views.h"
#include "controller/service/grpc_status.h"
#include "controller/service/log_merge.h"

namespace pando::controller {
namespace {

class LogStream final : public LoopWriteStream<v1::LogEntry> {
 public:
  LogStream(ControlLoop& control, OpenStreams& streams, AgentService& agents,
            v1::LogsRequest request)
      : LoopWriter(control.loop(), streams),
        control_(control),
        agents_(agents),
        request_(std::move(request)),
        opened_unix_ms_(ToUnixMillis(control.loop().WallNow())),
        merge_(request_.tail(), request_.follow()) {}

 private:
  // One instance's log as far as this stream goes.
  struct Source {
    std::string instance;
    NodeId node;
    bool from_start = true;       // it was there when the stream was opened
    std::optional<uint64_t> log;  // being read
    bool asked = false;           // for a chunk that has not come yet
    bool refused = false;         // said that it cannot be read
    int64_t last_unix_ms = 0;     // of the newest line that came,
    uint32_t lines_of_last = 0;   // and how many have come of this time
    uint32_t lines_to_skip = 0;   // of this time: they come again after an interruption
  };

  void OnOpen() override {
    if (absl::Status status = FindTarget(); !status.ok()) return Close(ToGrpc(status));
    OpenSources(true);
    if (request_.follow()) {
      watch_ = control_.Watch([this] { OpenSources(false); });
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
    if (request_.follow() && request_.previous()) {
      return absl::InvalidArgumentError("previous: what has ended cannot be followed");
    }
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

  // Reads what is not being read yet.
  void OpenSources(bool from_start) {
    std::set<AssignmentId> present;
    for (const InstanceStatus& status : control_.cluster().GetInstances(app_)) {
      const Assignment& assignment = status.assignment;
      if (assignment.id.empty() || (!instance_.empty() && NameOf(status) != instance_)) continue;
      present.insert(assignment.id);
      const auto [it, is_new] = sources_.try_emplace(assignment.id);
      Source& source = it->second;
      if (is_new) {
        source.instance = NameOf(status);
        source.node = assignment.node;
        source.from_start = from_start;
      }
      if (is_new || source.refused) Open(assignment.id, source);
    }
    // Those that are gone and were read to their end need not be remembered.
    std::erase_if(sources_, [&](const auto& entry) {
      return !entry.second.log && present.count(entry.first) == 0;
    });
    Pump();
  }

  AgentService::LogTarget TargetOf(const AssignmentId& id, Source& source) const {
    AgentService::LogTarget target;
    target.node = source.node;
    target.assignment = id;
    target.follow = request_.follow();
    target.tail_lines = LogMerge::kAllLines;
    if (source.last_unix_ms > 0) {
      // Goes on where it was interrupted.
      target.since_unix_ms = source.last_unix_ms;
      source.lines_to_skip = source.lines_of_last;
    } else if (!source.from_start) {
      // Born since: from its first line.
    } else if (source.refused && request_.tail() == 0) {
      target.since_unix_ms = opened_unix_ms_;
    } else {
      target.tail_lines = request_.tail();
      target.since_unix_ms = request_.since_unix_ms();
      target.previous = request_.previous();
    }
    return target;
  }

  void Open(const AssignmentId& id, Source& source) {
    const auto log = agents_.OpenLog(TargetOf(id, source),
                                     [this, id](const v1::LogChunk& chunk) { OnChunk(id, chunk); });
    if (log.ok()) {
      source.log = *log;
      source.asked = true;
      source.refused = false;
      merge_.Open(id.value);
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
    if (chunk.lines_size() > 0) {
      source.asked = false;
      merge_.Push(id.value, ToEntries(source, chunk), loop().Now());
    } else if (!chunk.end()) {
      merge_.SetCaughtUp(id.value);
    }
    if (chunk.end()) {
      source.log.reset();
      merge_.End(id.value);
      if (!chunk.error().empty()) {
        source.refused = true;  // may be read again when its node is back
        AddNotice(source, chunk.error());
      }
      CloseIfComplete();
    }
    Pump();
  }

  static std::vector<v1::LogEntry> ToEntries(Source& source, const v1::LogChunk& chunk) {
    std::vector<v1::LogEntry> entries;
    for (const v1::LogLine& line : chunk.lines()) {
      if (source.lines_to_skip > 0) {
        if (line.time_unix_ms() == source.last_unix_ms) {
          --source.lines_to_skip;
          continue;
        }
        source.lines_to_skip = 0;
      }
      if (line.time_unix_ms() != source.last_unix_ms) {
        source.last_unix_ms = line.time_unix_ms();
        source.lines_of_last = 0;
      }
      ++source.lines_of_last;
      v1::LogEntry& entry = entries.emplace_back();
      entry.set_instance(source.instance);
      entry.set_node(source.node.value);
      entry.set_time_unix_ms(line.time_unix_ms());
      entry.set_is_stderr(line.is_stderr());
      entry.set_text(line.text());
    }
    return entries;
  }

  void AddNotice(const Source& source, std::string text) {
    v1::LogEntry entry;
    entry.set_instance(source.instance);
    entry.set_node(source.node.value);
    entry.set_notice(std::move(text));
    notices_.push_back(std::move(entry));
  }

  std::optional<v1::LogEntry> NextMessage() override {
    if (!notices_.empty()) {
      v1::LogEntry entry = std::move(notices_.front());
      notices_.pop_front();
      return entry;
    }
    std::optional<v1::LogEntry> entry = merge_.Next(loop().Now());
    AskForMore();
    if (const uint64_t skipped = merge_.TakeSkipped(); skipped > 0) {
      v1::LogEntry notice;
      notice.set_notice(absl::StrCat("-- ", skipped, " lines skipped: too many to wait for --"));
      if (entry) notices_.push_back(*std::move(entry));  // after the notice
      return notice;
    }
    if (!entry) PumpLater(merge_.NextAt());
    return entry;
  }

  void AskForMore() {
    for (const std::string& id : merge_.TakeHungry()) {
      const auto it = sources_.find({id});
      if (it == sources_.end() || !it->second.log || std::exchange(it->second.asked, true))
        continue;
      agents_.AskForMoreLog(*it->second.log);
    }
  }

  void PumpLater(std::optional<Instant> at) {
    if (!at || (pump_at_ && *pump_at_ <= *at)) return;
    pump_at_ = at;
    const auto delay = std::chrono::ceil<Millis>(*at - loop().Now());
    loop().RunAfter(std::max(delay, Millis{0}), [this, alive = std::weak_ptr<bool>(alive_)] {
      if (alive.expired()) return;
      pump_at_.reset();
      Pump();
    });
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
  const int64_t opened_unix_ms_;
  LogMerge merge_;
  AppId app_;
  std::string instance_;  // empty: all of the app
  std::map<AssignmentId, Source> sources_;
  std::deque<v1::LogEntry> notices_;  // go before what is merged
  std::optional<Instant> pump_at_;
  uint64_t watch_ = 0;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>();  // for tasks still queued
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
