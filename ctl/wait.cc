#include "ctl/wait.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "ctl/format.h"

namespace pando::ctl {

Wait::Wait(WaitTarget target, WaitPolicy policy, Instant start)
    : target_(std::move(target)), policy_(policy), start_(start) {}

void Wait::Observe(const v1::ClusterView& cluster, Instant now) {
  if (outcome_) return;
  frozen_ = cluster.frozen();
  recovering_ = cluster.recovering();
  const v1::AppView* found = nullptr;
  for (const v1::AppView& app : cluster.apps()) {
    if (app.name() == target_.app) found = &app;
  }
  if (found == nullptr) return ObserveGone(now);
  app_ = *found;

  // An older generation is a view from before the change.
  if (app_->generation() < target_.generation) return Tick(now);
  if (RolledBack()) return End(ExitCode::kRolloutFailed, now);
  if (Replaced()) return End(ExitCode::kConflict, now);
  if (Arrived()) return End(ExitCode::kOk, now);
  if (target_.goal == Goal::kSettled && app_->rollout() == v1::AppView::FAILED) {
    return End(ExitCode::kRolloutFailed, now);
  }
  if (OnlyPlacesAreMissing()) {
    std::string text = absl::StrCat(Counts(), app_->draining(), app_->pending_reason());
    if (!pending_since_ || pending_text_ != text) {
      pending_since_ = now;
      pending_text_ = std::move(text);
    }
  } else {
    pending_since_.reset();
  }
  Tick(now);
}

void Wait::ObserveGone(Instant now) {
  if (outcome_) return;
  app_.reset();
  gone_ = true;
  End(target_.goal == Goal::kRemoved ? ExitCode::kOk : ExitCode::kNotFound, now);
}

void Wait::Tick(Instant now) {
  if (outcome_) return;
  if (pending_since_) {
    const Millis patience =
        app_->draining() > 0 ? policy_.draining_patience : policy_.pending_patience;
    if (now - *pending_since_ >= patience) return End(ExitCode::kNotPlaced, now);
  }
  if (now - start_ >= policy_.timeout) End(ExitCode::kTimeout, now);
}

bool Wait::Arrived() const {
  switch (target_.goal) {
    case Goal::kSettled:
      return app_->settled() || app_->waits_for_promote();
    case Goal::kStopped:
      return app_->settled() && app_->placed() == 0 && app_->outdated() == 0 &&
             app_->draining() == 0;
    case Goal::kRemoved:
      return false;
  }
  return false;
}

// A rollback is a change of its own: it comes after the one that is waited for.
bool Wait::RolledBack() const {
  return target_.goal == Goal::kSettled && app_->rollout() == v1::AppView::ROLLED_BACK &&
         app_->generation() > target_.generation;
}

// Somebody else's release is on its way; what it comes to is not for this change to tell.
bool Wait::Replaced() const {
  return target_.goal == Goal::kSettled && target_.revision != 0 &&
         app_->revision() != target_.revision && app_->generation() > target_.generation;
}

bool Wait::Paused() const { return app_ && app_->rollout() == v1::AppView::PAUSED; }

bool Wait::OnlyPlacesAreMissing() const {
  return target_.goal == Goal::kSettled && !app_->pending_reason().empty() &&
         app_->placed() < app_->replicas() && app_->available() == app_->placed();
}

void Wait::End(ExitCode outcome, Instant now) {
  outcome_ = outcome;
  elapsed_ = std::chrono::duration_cast<Millis>(now - start_);
}

std::string Wait::Counts() const {
  const uint32_t wanted = app_->replicas();
  return absl::StrCat("placed ", app_->placed(), "/", wanted, "  ready ", app_->ready(), "/",
                      wanted, "  in rotation ", app_->available(), "/", wanted);
}

std::string Wait::Step() const {
  std::string text = absl::StrCat("step ", app_->step(), "/", app_->steps());
  if (app_->step_traffic() >= 0)
    absl::StrAppend(&text, " (", app_->step_traffic(), "% of requests)");
  return text;
}

std::string Wait::ProgressText() const {
  std::string line = absl::StrCat(target_.app, " ", target_.change);
  if (!app_) return line;
  if (target_.goal == Goal::kSettled && !app_->stopped()) {
    if (app_->step() > 0) absl::StrAppend(&line, "  ", Step());
    absl::StrAppend(&line, "  ", Counts());
    if (app_->outdated() > 0) absl::StrAppend(&line, "  old ", app_->outdated());
  } else {
    const uint32_t left = app_->placed() + app_->outdated();
    if (left > 0) absl::StrAppend(&line, "  running ", left);
  }
  if (app_->draining() > 0) absl::StrAppend(&line, "  draining ", app_->draining());
  return line;
}

std::string Wait::ProgressLine(Instant now) const {
  std::string line = absl::StrCat(ProgressText(), "  ",
                                  FormatElapsed(std::chrono::duration_cast<Millis>(now - start_)));
  if (frozen_) absl::StrAppend(&line, "  the cluster is frozen, see `ctl status`");
  if (recovering_) absl::StrAppend(&line, "  the controller waits for its agents");
  if (Paused()) absl::StrAppend(&line, "  the rollout is paused");
  if (app_ && !app_->pending_reason().empty()) {
    absl::StrAppend(&line, "  ", app_->pending_reason());
  }
  return line;
}

std::string Wait::ResultLine() const {
  std::string line = absl::StrCat(target_.app, " ", target_.change, "  ");
  if (app_ && app_->waits_for_promote() && target_.goal == Goal::kSettled) {
    absl::StrAppend(&line, Step(), "; go on with: ctl rollout promote ", target_.app, "  ");
  } else if (app_ && app_->stopped() && target_.goal == Goal::kSettled) {
    absl::StrAppend(&line, "stopped; start it with: ctl start ", target_.app, "  ");
  } else if (app_ && target_.goal == Goal::kSettled) {
    const uint32_t wanted = app_->replicas();
    absl::StrAppend(&line, "placed ", app_->placed(), "/", wanted, "  ready ", app_->ready(), "/",
                    wanted, "  ");
    if (app_->proxies_live() == 0) {
      absl::StrAppend(&line, "no proxy is connected  ");
    } else {
      absl::StrAppend(&line, "in rotation on ", app_->proxies_acked(), "/", app_->proxies_live(),
                      " proxies  ");
    }
  }
  absl::StrAppend(&line, FormatElapsed(elapsed_));
  if (app_ && app_->draining() > 0) absl::StrAppend(&line, "  (", app_->draining(), " draining)");
  return line;
}

std::string Wait::FailureLine() const {
  const std::string& name = target_.app;
  if (gone_) return absl::StrCat(name, ": somebody removed the app");
  const std::string counts = app_ ? Counts() : "";
  switch (*outcome_) {
    case ExitCode::kRolloutFailed:
      if (app_->rollout() == v1::AppView::ROLLED_BACK) {
        return absl::StrCat(name, ": r", app_->rolled_back(), " was rolled back to r",
                            app_->revision(), ": ", app_->failure());
      }
      return absl::StrCat(name, ": the rollout of r", app_->revision(),
                          " failed: ", app_->failure());
    case ExitCode::kNotPlaced:
      return absl::StrCat(name, ": only ", app_->placed(), " of ", app_->replicas(),
                          " can be placed: ", app_->pending_reason());
    case ExitCode::kConflict:
      return absl::StrCat(name, ": r", target_.revision, " was replaced by r", app_->revision(),
                          " meanwhile, see `ctl events ", name, "`");
    default: {
      std::string line = absl::StrCat(name, ": not done after ", FormatElapsed(elapsed_));
      if (app_) absl::StrAppend(&line, ": ", counts);
      if (app_ && !app_->pending_reason().empty()) {
        absl::StrAppend(&line, ": ", app_->pending_reason());
      } else if (frozen_) {
        absl::StrAppend(&line, ": the cluster is frozen, see `ctl status`");
      } else if (Paused()) {
        absl::StrAppend(&line, ": the rollout is paused; go on with: ctl rollout resume ", name);
      }
      return line;
    }
  }
}

}  // namespace pando::ctl
