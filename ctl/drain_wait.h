// Decides when a node that is drained is empty, from one ClusterView after another. Pure.
#pragma once

#include <optional>
#include <string>

#include "common/base/time.h"
#include "ctl/exit_code.h"
#include "pando/v1/admin.pb.h"

namespace pando::ctl {

struct DrainPolicy {
  Millis timeout{300'000};
  // How long nothing may change while what is left has no place elsewhere, before the answer is
  // "not placed".
  Millis pending_patience{3'000};
};

class DrainWait {
 public:
  DrainWait(std::string node, DrainPolicy policy, Instant start);

  // A new view of the whole cluster.
  void Observe(const v1::ClusterView& cluster, Instant now);
  // Time passes; call at least every 100 ms.
  void Tick(Instant now);

  // Set once: kOk, kNotPlaced, kTimeout, kConflict (somebody ended the drain), kNotFound.
  std::optional<ExitCode> outcome() const { return outcome_; }
  // "node-2 draining  5 of 8 gone  2 moving  1 draining  3.2 s  web.3 waits: needs 512 MiB; ..."
  std::string ProgressLine(Instant now) const;
  // What ProgressLine says without the time: equal means there is no news.
  std::string ProgressText() const;
  // "node-2 drained, 8 instances moved  12.4 s", or what went wrong.
  std::string ResultLine() const;

 private:
  void End(ExitCode outcome, Instant now);

  const std::string node_;
  const DrainPolicy policy_;
  const Instant start_;
  size_t most_ = 0;      // instances there were on it at once
  size_t running_ = 0;   // still there, not on their way out yet
  size_t draining_ = 0;  // their successors serve; requests are still in flight
  std::string waits_;    // "web.3 waits: <why it has no place>"
  std::string waiting_text_;
  std::optional<Instant> waiting_since_;
  std::optional<ExitCode> outcome_;
  Millis elapsed_{0};
};

}  // namespace pando::ctl
