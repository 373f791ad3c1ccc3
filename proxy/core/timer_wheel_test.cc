#include "proxy/core/timer_wheel.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <random>
#include <vector>

namespace pando::proxy {
namespace {

const Instant kStart{Millis{5'000'000}};

struct TestTimer final : Timer {
  void OnTimer() override {
    ++fired;
    if (then) then();
  }
  int fired = 0;
  std::function<void()> then;
};

TEST(TimerWheelTest, FiresAtTheDeadlineNotBefore) {
  TimerWheel wheel(kStart);
  TestTimer timer;
  EXPECT_EQ(wheel.NextWake(), Instant::max());
  wheel.Arm(timer, kStart + Millis{95});
  wheel.Advance(kStart + Millis{94});
  EXPECT_EQ(timer.fired, 0);
  const Instant wake = wheel.NextWake();
  EXPECT_GE(wake, kStart + Millis{95});
  EXPECT_LE(wake, kStart + Millis{95} + TimerWheel::kTick);
  wheel.Advance(wake);
  EXPECT_EQ(timer.fired, 1);
  wheel.Advance(kStart + Millis{10'000});
  EXPECT_EQ(timer.fired, 1);
}

TEST(TimerWheelTest, PutOffBroughtForwardAndCancelled) {
  TimerWheel wheel(kStart);
  TestTimer late, early, cancelled;
  wheel.Arm(late, kStart + Millis{100});
  wheel.Arm(late, kStart + Millis{60'000});  // beyond one turn of the wheel
  wheel.Arm(early, kStart + Millis{60'000});
  wheel.Arm(early, kStart + Millis{50});
  wheel.Arm(cancelled, kStart + Millis{50});
  wheel.Cancel(cancelled);
  wheel.Advance(kStart + Millis{200});
  EXPECT_EQ(late.fired, 0);
  EXPECT_EQ(early.fired, 1);
  for (int ms = 300; ms < 60'000; ms += 700) wheel.Advance(kStart + Millis{ms});
  EXPECT_EQ(late.fired, 0);
  wheel.Advance(kStart + Millis{60'011});
  EXPECT_EQ(late.fired, 1);
  EXPECT_EQ(cancelled.fired, 0);
}

TEST(TimerWheelTest, CatchesUpAfterALongSleep) {
  TimerWheel wheel(kStart);
  std::vector<std::unique_ptr<TestTimer>> timers;
  for (int i = 0; i < 500; ++i) {
    timers.push_back(std::make_unique<TestTimer>());
    wheel.Arm(*timers.back(), kStart + Millis{i * 37});
  }
  wheel.Advance(kStart + std::chrono::hours(1));
  for (const auto& timer : timers) EXPECT_EQ(timer->fired, 1);
  EXPECT_EQ(wheel.NextWake(), Instant::max());
}

TEST(TimerWheelTest, CallbacksMayArmAndDestroyOthers) {
  TimerWheel wheel(kStart);
  auto victim = std::make_unique<TestTimer>();
  TestTimer killer, again;
  wheel.Arm(killer, kStart + Millis{20});
  wheel.Arm(*victim, kStart + Millis{20});
  wheel.Arm(again, kStart + Millis{20});
  killer.then = [&] { victim.reset(); };
  again.then = [&] {
    if (again.fired < 3) wheel.Arm(again, kStart + Millis{20});  // in the past
  };
  wheel.Advance(kStart + Millis{100});
  wheel.Advance(kStart + Millis{200});
  wheel.Advance(kStart + Millis{300});
  EXPECT_EQ(again.fired, 3);
}

TEST(TimerWheelTest, AgreesWithASimpleListOfDeadlines) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 rng(seed);
    TimerWheel wheel(kStart);
    Instant now = kStart;
    TestTimer timers[20];
    Instant deadlines[20];
    std::fill(std::begin(deadlines), std::end(deadlines), Instant::max());
    int fired[20] = {};
    for (int step = 0; step < 2'000; ++step) {
      const size_t i = rng() % 20;
      if (rng() % 5 == 0) {
        wheel.Cancel(timers[i]);
        deadlines[i] = Instant::max();
      } else {
        deadlines[i] = now + Millis{rng() % 30'000};
        wheel.Arm(timers[i], deadlines[i]);
      }
      now += Millis{rng() % 200};
      wheel.Advance(now);
      for (size_t k = 0; k < 20; ++k) {
        const bool has_fired = timers[k].fired > fired[k];
        fired[k] = timers[k].fired;
        ASSERT_TRUE(has_fired || deadlines[k] > now - 2 * TimerWheel::kTick);
        if (has_fired) {
          ASSERT_LE(deadlines[k], now);
          deadlines[k] = Instant::max();
        }
      }
      ASSERT_GT(wheel.NextWake(), now - TimerWheel::kTick);
    }
  }
}

}  // namespace
}  // namespace pando::proxy
