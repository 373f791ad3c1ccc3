#include "common/runtime/manual_executor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace pando {
namespace {

using ::testing::ElementsAre;

TEST(ManualExecutorTest, RunsNothingUntilAdvanced) {
  ManualExecutor executor;
  bool ran = false;
  executor.Post([&] { ran = true; });
  EXPECT_FALSE(ran);
  executor.Advance(Millis{0});
  EXPECT_TRUE(ran);
}

TEST(ManualExecutorTest, RunsByTimeThenByPostingOrder) {
  ManualExecutor executor;
  std::vector<std::string> ran;
  executor.RunAfter(Millis{20}, [&] { ran.push_back("late"); });
  executor.RunAfter(Millis{10}, [&] { ran.push_back("early"); });
  executor.RunAfter(Millis{10}, [&] { ran.push_back("early, posted second"); });
  executor.RunAfter(Millis{21}, [&] { ran.push_back("beyond"); });
  executor.Advance(Millis{20});
  EXPECT_THAT(ran, ElementsAre("early", "early, posted second", "late"));
}

TEST(ManualExecutorTest, ATaskSeesItsOwnTime) {
  ManualExecutor executor;
  const Instant start = executor.Now();
  const WallTime wall_start = executor.WallNow();
  std::vector<Millis> seen;
  std::function<void()> tick = [&] {
    seen.push_back(std::chrono::duration_cast<Millis>(executor.Now() - start));
    executor.RunAfter(Millis{100}, tick);
  };
  executor.RunAfter(Millis{100}, tick);
  executor.Advance(Millis{350});
  EXPECT_THAT(seen, ElementsAre(Millis{100}, Millis{200}, Millis{300}));
  EXPECT_EQ(executor.Now() - start, Millis{350});
  EXPECT_EQ(executor.WallNow() - wall_start, Millis{350});
}

}  // namespace
}  // namespace pando
