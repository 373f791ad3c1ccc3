#include "controller/service/controller_options.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace pando::controller {

void ControllerFlags::AddTo(Flags& flags) {
  flags.Add("data-dir", data_dir, "where the controller keeps its state");
  flags.Add("listen", listen, "address for agents, proxies and ctl (gRPC)");
  flags.Add("http-listen", http_listen, "address for /metrics and /healthz");
  flags.AddSwitch("insecure", insecure,
                  "allow addresses beyond loopback although nobody is authenticated");
  flags.Add("suspect-after", suspect_after,
            "silence of a node after which traffic is kept away from it");
  flags.Add("lost-after", lost_after, "silence of a node after which its instances are replaced");
  flags.Add("proxy-lease", proxy_lease, "how long a disconnected proxy counts as serving");
  flags.Add("rebalance-after", rebalance_after,
            "from a node's joining until instances are moved to it; never: only by ctl rebalance");
  flags.Add("artifact-grace", artifact_grace,
            "how long an uploaded artifact is kept for a spec that names it");
  flags.Add("recovery-window", recovery_window,
            "after a start: how long agents have to report before they count as silent");
}

absl::StatusOr<ControllerOptions> ControllerFlags::Read() const {
  ControllerOptions options;
  options.data_dir = data_dir;
  PANDO_ASSIGN_OR_RETURN(options.listen, ParseHostPort("--listen", listen));
  PANDO_ASSIGN_OR_RETURN(options.http_listen, ParseHostPort("--http-listen", http_listen));
  PANDO_RETURN_IF_ERROR(CheckListenAddress("--listen", options.listen, insecure));
  PANDO_RETURN_IF_ERROR(CheckListenAddress("--http-listen", options.http_listen, insecure));
  ClusterPolicy& policy = options.policy;
  PANDO_ASSIGN_OR_RETURN(policy.suspect_after, ParseDuration("--suspect-after", suspect_after));
  PANDO_ASSIGN_OR_RETURN(policy.lost_after, ParseDuration("--lost-after", lost_after));
  PANDO_ASSIGN_OR_RETURN(policy.proxy_lease, ParseDuration("--proxy-lease", proxy_lease));
  PANDO_ASSIGN_OR_RETURN(policy.recovery_window,
                         ParseDuration("--recovery-window", recovery_window));
  PANDO_ASSIGN_OR_RETURN(options.artifact_grace, ParseDuration("--artifact-grace", artifact_grace));
  if (rebalance_after != "never") {
    PANDO_ASSIGN_OR_RETURN(policy.rebalance_after,
                           ParseDuration("--rebalance-after", rebalance_after));
  }
  if (policy.lost_after < policy.suspect_after) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--lost-after: ", lost_after, " is less than --suspect-after ", suspect_after));
  }
  return options;
}

absl::StatusOr<Millis> ParseDuration(const std::string& flag, const std::string& text) {
  constexpr std::pair<const char*, int64_t> kUnits[] = {
      {"ms", 1}, {"s", 1'000}, {"m", 60'000}, {"h", 3'600'000}};
  const size_t digits = text.find_first_not_of("0123456789");
  int64_t number = 0;
  if (digits != std::string::npos && absl::SimpleAtoi(text.substr(0, digits), &number)) {
    for (const auto& [unit, millis] : kUnits) {
      if (text.compare(digits, std::string::npos, unit) != 0) continue;
      if (number >= 1 && number <= 3'600'000 / millis) return Millis{number * millis};
    }
  }
  return absl::InvalidArgumentError(absl::StrCat(
      flag, ": \"", text, "\" is not a duration from 1ms to 1h (for example 500ms, 2s, 1m)"));
}

}  // namespace pando::controller
