#include "controller/core/upstream_table.h"

#include <gmock/gmock.h>

namespace pando::controller {
namespace {

using ::testing::ElementsAreArray;

EndpointCandidate Candidate(const std::string& instance, Wish wish, Phase phase,
                            bool suspect = false, uint16_t port = 20'000) {
  EndpointCandidate candidate;
  candidate.endpoint.assignment = AssignmentId{instance + "-x"};
  candidate.endpoint.instance = instance;
  candidate.endpoint.port = port;
  candidate.wish = wish;
  candidate.phase = phase;
  candidate.node_suspect = suspect;
  return candidate;
}

TEST(UpstreamTableTest, ShowsWhatCanServe) {
  constexpr Wish kRun = Wish::kRun, kDrain = Wish::kDrain, kStop = Wish::kStop;
  const EndpointCandidate healthy = Candidate("a.9", kRun, Phase::kReady);
  EndpointCandidate never_ready = Candidate("a.1", kDrain, Phase::kStarting);
  never_ready.was_ready = false;
  struct Case {
    std::string name;
    std::vector<EndpointCandidate> candidates;
    std::vector<std::pair<std::string, Health>> want;
  };
  const Case cases[] = {
      {"nothing", {}, {}},
      {"ready", {Candidate("a.1", kRun, Phase::kReady)}, {{"a.1", Health::kHealthy}}},
      {"not yet ready", {Candidate("a.1", kRun, Phase::kStarting)}, {}},
      {"without a process",
       {Candidate("a.1", kRun, Phase::kBackoff), Candidate("a.2", kRun, Phase::kFailed)},
       {}},
      {"ready without a port", {Candidate("a.1", kRun, Phase::kReady, false, 0)}, {}},
      {"drains while its process lives",
       {Candidate("a.1", kDrain, Phase::kReady), Candidate("a.2", kDrain, Phase::kUnhealthy),
        Candidate("a.3", kDrain, Phase::kStopping), Candidate("a.4", kDrain, Phase::kBackoff),
        Candidate("a.5", kDrain, Phase::kFailed), Candidate("a.6", kDrain, Phase::kStarting)},
       {{"a.1", Health::kDraining},
        {"a.2", Health::kDraining},
        {"a.3", Health::kDraining},
        {"a.6", Health::kDraining}}},
      {"what was never in a table need not drain", {never_ready}, {}},
      {"told to stop", {Candidate("a.1", kStop, Phase::kStopping)}, {}},
      {"suspect node, others healthy",
       {healthy, Candidate("a.1", kRun, Phase::kReady, true)},
       {{"a.1", Health::kSuspect}, {"a.9", Health::kHealthy}}},
      {"unhealthy, others healthy",
       {healthy, Candidate("a.1", kRun, Phase::kUnhealthy)},
       {{"a.9", Health::kHealthy}}},
      {"panic: nothing healthy is left",
       {Candidate("a.1", kRun, Phase::kUnhealthy), Candidate("a.2", kRun, Phase::kReady, true),
        Candidate("a.3", kRun, Phase::kStarting), Candidate("a.4", kDrain, Phase::kReady)},
       {{"a.1", Health::kHealthy}, {"a.2", Health::kHealthy}, {"a.4", Health::kDraining}}},
      {"sorted by name",
       {healthy, Candidate("a.10", kRun, Phase::kReady)},
       {{"a.10", Health::kHealthy}, {"a.9", Health::kHealthy}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    std::vector<std::pair<std::string, Health>> got;
    for (const Endpoint& e : BuildEndpoints(c.candidates)) got.emplace_back(e.instance, e.health);
    EXPECT_THAT(got, ElementsAreArray(c.want));
  }
}

}  // namespace
}  // namespace pando::controller
