// Seeded simulation of a whole cluster: faults of every kind, then calm, then everything has to be
// as it was asked for. One seed alone, with its trace on stdout:
//
//   PANDO_SIM_SEED=123 PANDO_SIM_TRACE=1 build/debug/tests/cluster_sim_test
//
// PANDO_SIM_SEEDS=10000 runs more of them.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/sim/sim_world.h"

namespace pando::sim {
namespace {

uint32_t Number(const char* name, uint32_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : static_cast<uint32_t>(std::strtoul(text, nullptr, 10));
}

struct Seeds {
  uint32_t first = 1;
  uint32_t count = 0;
};

Seeds WhichSeeds(uint32_t count) {
  if (std::getenv("PANDO_SIM_SEED") != nullptr) return {Number("PANDO_SIM_SEED", 1), 1};
  return {1, Number("PANDO_SIM_SEEDS", count)};
}

void Check(const World& world, uint32_t seed) {
  for (const std::string& line : world.trace()) std::printf("%s\n", line.c_str());
  for (const std::string& violation : world.violations()) {
    ADD_FAILURE() << "seed " << seed << " " << violation;
  }
}

TEST(ClusterSim, SurvivesStormsAndSettles) {
  const Seeds seeds = WhichSeeds(200);
  for (uint32_t i = 0; i < seeds.count; ++i) {
    const uint32_t seed = seeds.first + i;
    World world(seed);
    world.Storm(Millis{30'000});
    world.Heal();
    Check(world, seed);
    if (HasFailure()) return;
  }
}

TEST(ClusterSim, RollsOutInTheCalmWithoutOneFailure) {
  const Seeds seeds = WhichSeeds(40);
  for (uint32_t i = 0; i < seeds.count; ++i) {
    const uint32_t seed = seeds.first + i;
    World world(seed);
    world.AwaitSettled();
    world.RollOutCalmly(4);
    Check(world, seed);
    if (HasFailure()) return;
  }
}

TEST(ClusterSim, UsersDoNotSeeWhatTheControlPlaneSuffers) {
  const Seeds seeds = WhichSeeds(40);
  for (uint32_t i = 0; i < seeds.count; ++i) {
    const uint32_t seed = seeds.first + i;
    World world(seed);
    world.AwaitSettled();
    world.ShakeControlPlane(Millis{60'000});
    Check(world, seed);
    if (HasFailure()) return;
  }
}

TEST(ClusterSim, EqualSeedsGiveEqualRuns) {
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    uint64_t hashes[2];
    for (uint64_t& hash : hashes) {
      World world(seed);
      world.Storm(Millis{10'000});
      hash = world.trace_hash();
    }
    EXPECT_EQ(hashes[0], hashes[1]) << "seed " << seed;
  }
}

}  // namespace
}  // namespace pando::sim
