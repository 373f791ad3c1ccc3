// Seeded simulation of a whole cluster: faults of every kind, then calm, then everything has to be
// as it was asked for. One seed alone, with its trace on stdout:
//
//   PANDO_SIM_SEED=123 PANDO_SIM_TRACE=1 build/release/tests/cluster_sim_test
//   --gtest_filter=*Storms*
//
// PANDO_SIM_SEEDS=10000 runs more of them, PANDO_SIM_SHARD=2/4 every fourth one from the second on.
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
  uint32_t step = 1;
};

// `shard` of `shards` takes every shards-th seed: "2/4".
Seeds WhichSeeds(uint32_t count) {
  if (std::getenv("PANDO_SIM_SEED") != nullptr) return {Number("PANDO_SIM_SEED", 1), 1, 1};
  const uint32_t total = Number("PANDO_SIM_SEEDS", count);
  const char* const text = std::getenv("PANDO_SIM_SHARD");
  uint32_t shard = 1, shards = 1;
  if (text != nullptr &&
      (std::sscanf(text, "%u/%u", &shard, &shards) != 2 || shard < 1 || shard > shards)) {
    std::fprintf(stderr, "PANDO_SIM_SHARD: \"%s\" is not like 2/4\n", text);
    std::abort();
  }
  return {shard, (total + shards - shard) / shards, shards};
}

void Check(const World& world, uint32_t seed) {
  for (const std::string& line : world.trace()) std::printf("%s\n", line.c_str());
  for (const std::string& violation : world.violations()) {
    ADD_FAILURE() << "seed " << seed << " " << violation;
  }
}

TEST(ClusterSim, SurvivesStormsAndSettles) {
  const Seeds seeds = WhichSeeds(600);
  for (uint32_t i = 0; i < seeds.count; ++i) {
    const uint32_t seed = seeds.first + i * seeds.step;
    World world(seed);
    world.Storm(Millis{30'000});
    world.Heal();
    Check(world, seed);
    if (HasFailure()) return;
  }
}

TEST(ClusterSim, RollsOutInTheCalmWithoutOneFailure) {
  const Seeds seeds = WhichSeeds(500);
  for (uint32_t i = 0; i < seeds.count; ++i) {
    const uint32_t seed = seeds.first + i * seeds.step;
    World world(seed);
    world.AwaitSettled();
    world.RollOutCalmly(4);
    Check(world, seed);
    if (HasFailure()) return;
  }
}

TEST(ClusterSim, TakesBackWhatFailsWithoutOneFailure) {
  const Seeds seeds = WhichSeeds(500);
  for (uint32_t i = 0; i < seeds.count; ++i) {
    const uint32_t seed = seeds.first + i * seeds.step;
    World world(seed);
    world.AwaitSettled();
    world.ReleaseWhatFails(2);
    Check(world, seed);
    if (HasFailure()) return;
  }
}

void ShakeAndCheck(uint32_t seed) {
  World world(seed, /*rebalances=*/false);
  world.AwaitSettled();
  world.ShakeControlPlane(Millis{60'000});
  Check(world, seed);
}

TEST(ClusterSim, UsersDoNotSeeWhatTheControlPlaneSuffers) {
  const Seeds seeds = WhichSeeds(500);
  for (uint32_t i = 0; i < seeds.count; ++i) {
    ShakeAndCheck(seeds.first + i * seeds.step);
    if (HasFailure()) return;
  }
}

// A freeze that ends shortly before a restarted controller's patience with a node it has not heard.
TEST(ClusterSim, ANodeNotHeardSinceAStartGetsItsTimeAgainAfterAFreeze) {
  for (const uint32_t seed : {1606u, 2371u}) ShakeAndCheck(seed);
}

TEST(ClusterSim, DrainsNodesInTheCalmWithoutOneFailure) {
  const Seeds seeds = WhichSeeds(500);
  for (uint32_t i = 0; i < seeds.count; ++i) {
    const uint32_t seed = seeds.first + i * seeds.step;
    World world(seed);
    world.AwaitSettled();
    world.DrainCalmly(5);
    Check(world, seed);
    if (HasFailure()) return;
  }
}

TEST(ClusterSim, TakesOverWhenMostHostsReallyDied) {
  const Seeds seeds = WhichSeeds(500);
  for (uint32_t i = 0; i < seeds.count; ++i) {
    const uint32_t seed = seeds.first + i * seeds.step;
    World world(seed);
    world.AwaitSettled();
    world.LoseMostHosts();
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
