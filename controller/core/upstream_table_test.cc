#include "controller/core/upstream_table.h"

#include <gmock/gmock.h>

namespace pando::controller {
namespace {

using ::testing::ElementsAreArray;

struct Candidate {
  Candidate(std::string of, Wish wish, Phase phase, bool suspect = false, uint16_t port = 20'000)
      : instance(std::move(of)) {
    state.port = port;
    state.wish = wish;
    state.phase = phase;
    state.node_suspect = suspect;
  }
  std::string instance;
  EndpointState state;
};

TEST(UpstreamTableTest, ShowsWhatCanServe) {
  constexpr Wish kRun = Wish::kRun, kDrain = Wish::kDrain, kStop = Wish::kStop;
  const Candidate healthy("a.9", kRun, Phase::kReady);
  Candidate never_ready("a.1", kDrain, Phase::kStarting);
  never_ready.state.was_ready = false;
  struct Case {
    std::string name;
    std::vector<Candidate> candidates;
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
       {{"a.9", Health::kHealthy}, {"a.1", Health::kSuspect}}},
      {"unhealthy, others healthy",
       {healthy, Candidate("a.1", kRun, Phase::kUnhealthy)},
       {{"a.9", Health::kHealthy}}},
      {"panic: nothing healthy is left",
       {Candidate("a.1", kRun, Phase::kUnhealthy), Candidate("a.2", kRun, Phase::kReady, true),
        Candidate("a.3", kRun, Phase::kStarting), Candidate("a.4", kDrain, Phase::kReady)},
       {{"a.1", Health::kHealthy}, {"a.2", Health::kHealthy}, {"a.4", Health::kDraining}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    std::vector<std::pair<std::string, Health>> got;
    std::vector<EndpointState> states;
    for (const Candidate& candidate : c.candidates) states.push_back(candidate.state);
    const auto healths = HealthsOf(states);
    ASSERT_EQ(healths.size(), states.size());
    for (size_t i = 0; i < states.size(); ++i) {
      if (healths[i]) got.emplace_back(c.candidates[i].instance, *healths[i]);
    }
    EXPECT_THAT(got, ElementsAreArray(c.want));
  }
}

TEST(UpstreamTableTest, IsSortedByNameThenAssignment) {
  std::vector<Endpoint> endpoints(3);
  endpoints[0].instance = "a.9";
  endpoints[1].instance = endpoints[2].instance = "a.10";
  endpoints[1].assignment = AssignmentId{"y"};
  endpoints[2].assignment = AssignmentId{"x"};
  SortEndpoints(endpoints);
  EXPECT_EQ(endpoints[0].assignment.value, "x");
  EXPECT_EQ(endpoints[2].instance, "a.9");
}

}  // namespace
}  // namespace pando::controller
