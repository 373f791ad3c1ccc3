#include "agent/core/phase.h"

#include <gtest/gtest.h>

namespace pando::agent {
namespace {

constexpr Phase kAll[] = {Phase::kStarting, Phase::kReady,  Phase::kUnhealthy, Phase::kBackoff,
                          Phase::kStopping, Phase::kFailed, Phase::kPreparing};

TEST(PhaseTest, EveryTransitionIsAsDrawn) {
  struct Case {
    Event event;
    Phase want[7];  // from each of kAll
  };
  using enum Phase;
  const Case cases[] = {
      {Event::kSpawn, {kStarting, kReady, kUnhealthy, kStarting, kStopping, kStarting, kStarting}},
      {Event::kProbePassed, {kReady, kReady, kReady, kBackoff, kStopping, kFailed, kPreparing}},
      {Event::kProbeFailed,
       {kStarting, kUnhealthy, kUnhealthy, kBackoff, kStopping, kFailed, kPreparing}},
      {Event::kStop, {kStopping, kStopping, kStopping, kBackoff, kStopping, kFailed, kPreparing}},
      {Event::kExited, {kBackoff, kBackoff, kBackoff, kBackoff, kBackoff, kFailed, kBackoff}},
      {Event::kCannotStart, {kFailed, kFailed, kFailed, kBackoff, kFailed, kFailed, kFailed}},
      {Event::kPrepare, {kPreparing, kReady, kUnhealthy, kBackoff, kStopping, kFailed, kPreparing}},
  };
  for (const Case& c : cases) {
    for (int i = 0; i < 7; ++i) {
      EXPECT_EQ(Next(kAll[i], c.event), c.want[i])
          << "event " << static_cast<int>(c.event) << " in " << PhaseName(kAll[i]);
    }
  }
}

TEST(PhaseTest, NamesReadBack) {
  for (Phase phase : kAll) EXPECT_EQ(ParsePhase(PhaseName(phase)), phase);
  EXPECT_EQ(ParsePhase("sleeping"), std::nullopt);
}

}  // namespace
}  // namespace pando::agent
