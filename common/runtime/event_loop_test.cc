#include "common/runtime/event_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <vector>

namespace pando {
namespace {

using ::testing::ElementsAre;

TEST(EventLoopTest, RunsPostedTasksInOrder) {
  EventLoop loop;
  std::vector<int> ran;
  loop.Post([&] { ran.push_back(1); });
  loop.RunAfter(Millis{0}, [&] { ran.push_back(2); });
  loop.Post([&] {
    ran.push_back(3);
    loop.Stop();
  });
  loop.Run();
  EXPECT_THAT(ran, ElementsAre(1, 2, 3));
}

TEST(EventLoopTest, RunsDelayedTasksByTheirTimeAndNotEarly) {
  EventLoop loop;
  std::vector<int> ran;
  const Instant start = loop.Now();
  loop.RunAfter(Millis{40}, [&] {
    ran.push_back(2);
    loop.Stop();
  });
  loop.RunAfter(Millis{10}, [&] { ran.push_back(1); });
  loop.Run();
  EXPECT_THAT(ran, ElementsAre(1, 2));
  EXPECT_GE(loop.Now() - start, Millis{40});
}

TEST(EventLoopTest, TakesTasksFromOtherThreads) {
  EventLoop loop;
  constexpr int kThreads = 4;
  constexpr int kTasks = 500;
  int ran = 0;  // no lock: touched on the loop only
  std::vector<std::thread> posters;
  for (int t = 0; t < kThreads; ++t) {
    posters.emplace_back([&] {
      for (int i = 0; i < kTasks; ++i) {
        auto task = [&] {
          if (++ran == kThreads * kTasks) loop.Stop();
        };
        if (i % 2 == 0) {
          loop.Post(task);
        } else {
          loop.RunAfter(Millis{1}, task);
        }
      }
    });
  }
  loop.Run();
  for (std::thread& poster : posters) poster.join();
  EXPECT_EQ(ran, kThreads * kTasks);
}

TEST(EventLoopTest, DestroysWhatIsStillQueuedWhenItStops) {
  auto owned = std::make_shared<int>(0);
  const std::weak_ptr<int> watch = owned;
  {
    EventLoop loop;
    loop.RunAfter(std::chrono::hours(1), [owned] { ++*owned; });
    loop.Post([&loop, owned] { loop.Stop(); });
    loop.Post([owned = std::move(owned)] { ++*owned; });
    loop.Run();
    EXPECT_FALSE(watch.expired());
  }
  EXPECT_TRUE(watch.expired());
}

TEST(EventLoopTest, StopBeforeRunReturnsAtOnce) {
  EventLoop loop;
  loop.Stop();
  loop.Run();
}

}  // namespace
}  // namespace pando
