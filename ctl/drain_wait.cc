#include "ctl/drain_wait.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ctl/format.h"

namespace pando::ctl {
namespace {

bool IsOnItsWayOut(const v1::InstanceView& instance) {
  return instance.state() == "draining" || instance.state() == "stopping";
}

}  // namespace

DrainWait::DrainWait(std::string node, DrainPolicy policy, Instant start)
    : node_(std::move(node)), policy_(policy), start_(start) {}

void DrainWait::Observe(const v1::ClusterView& cluster, Instant now) {
  if (outcome_) return;
  const auto node = std::find_if(cluster.nodes().begin(), cluster.nodes().end(),
                                 [&](const auto& each) { return each.name() == node_; });
  if (node == cluster.nodes().end()) return End(ExitCode::kNotFound, now);
  if (!node->draining()) return End(ExitCode::kConflict, now);
  running_ = draining_ = 0;
  waits_.clear();
  bool others_start = false;
  for (const v1::InstanceView& instance : cluster.instances()) {
    if (instance.node() == node_) ++(IsOnItsWayOut(instance) ? draining_ : running_);
    if (instance.state() == "pending" && waits_.empty()) {
      waits_ = absl::StrCat(instance.name(), " waits: ", instance.detail());
    }
    others_start |= instance.state() == "assigned" || instance.state() == "starting" ||
                    instance.state() == "ready";
  }
  most_ = std::max(most_, running_ + draining_);
  if (running_ + draining_ == 0) return End(ExitCode::kOk, now);

  const bool stuck = !waits_.empty() && running_ > 0 && draining_ == 0 && !others_start;
  if (!stuck) {
    waiting_since_.reset();
  } else if (!waiting_since_ || waiting_text_ != ProgressText()) {
    waiting_since_ = now;
    waiting_text_ = ProgressText();
  }
  Tick(now);
}

void DrainWait::Tick(Instant now) {
  if (outcome_) return;
  if (waiting_since_ && now - *waiting_since_ >= policy_.pending_patience) {
    return End(ExitCode::kNotPlaced, now);
  }
  if (now - start_ >= policy_.timeout) End(ExitCode::kTimeout, now);
}

void DrainWait::End(ExitCode outcome, Instant now) {
  outcome_ = outcome;
  elapsed_ = std::chrono::duration_cast<Millis>(now - start_);
}

std::string DrainWait::ProgressText() const {
  std::string text =
      absl::StrCat(node_, " draining  ", most_ - running_ - draining_, " of ", most_, " gone");
  if (running_ > 0) absl::StrAppend(&text, "  ", running_, " to move");
  if (draining_ > 0) absl::StrAppend(&text, "  ", draining_, " finishing requests");
  return text;
}

std::string DrainWait::ProgressLine(Instant now) const {
  std::string line = absl::StrCat(ProgressText(), "  ",
                                  FormatElapsed(std::chrono::duration_cast<Millis>(now - start_)));
  if (!waits_.empty()) absl::StrAppend(&line, "  ", waits_);
  return line;
}

std::string DrainWait::ResultLine() const {
  switch (*outcome_) {
    case ExitCode::kOk:
      return absl::StrCat(node_, " drained, ", most_, " instances moved  ",
                          FormatElapsed(elapsed_));
    case ExitCode::kNotFound:
      return absl::StrCat("no such node: ", node_);
    case ExitCode::kConflict:
      return absl::StrCat(node_, ": somebody uncordoned it, ", running_ + draining_,
                          " instances stay");
    case ExitCode::kNotPlaced:
      return absl::StrCat(node_, ": ", running_, " of ", most_,
                          " instances have no place elsewhere",
                          "; the drain goes on when there is room: ", waits_);
    default:
      return absl::StrCat(ProgressText(), ": not done after ", FormatElapsed(elapsed_),
                          "; the drain goes on", waits_.empty() ? "" : ": ", waits_);
  }
}

}  // namespace pando::ctl
