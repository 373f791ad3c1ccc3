#include "agent/core/phase.h"

#include <gtest/gtest.h>

namespace pando::agent {
namespace {

constexpr Phase kAll[] = {Phase::kStarting, Phase::kReady,    Phase::kUnhealthy,
                          Phase::kBackoff,  Phase::kStopping, Phase::kFailed};

TEST(PhaseTest, EveryTransitionIsAsDrawn) {
  struct Case {
    Event event;
    Phase want[6];  // from each of kAll
  };
  using enum Phase;
  const Case cases[] = {
      {Event::kSpawn, {kStarting, kReady, kUnhealthy, kStarting, kStopping, kStarting}},
      {Event::kProbePassed, {kReady, kReady, kReady, kBackoff, kStopping, kFailed}},
      {Event::kProbeFailed, {kStarting, kUnhealthy, kUnhealthy, kBackoff, kStopping, kFailed}},
      {Event::kStop, {kStopping, kStopping, kStopping, kBackoff, kStopping, kFailed}},
      {Event::kExited, {kBackoff, kBackoff, kBackoff, kBackoff, kBackoff, kFailed}},
      {Event::kCannotStart, {kFailed, kFailed, kFailed, kBackoff, kFailed, kFailed}},
  };
  for (const Case& c : cases) {
    for (int i = 0; i < 6; ++i) {
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
