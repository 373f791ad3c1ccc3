#include "ctl/wait.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace pando::ctl {
namespace {

using std::chrono::milliseconds;

constexpr Instant kStart{};

Instant At(int64_t millis) { return kStart + milliseconds{millis}; }

WaitTarget Target(Goal goal = Goal::kSettled) { return {"web", "2 -> 8", 7, goal}; }

// A view of web after the change, with `edit` on top.
v1::ClusterView View(const std::function<void(v1::AppView&)>& edit) {
  v1::ClusterView view;
  v1::AppView& app = *view.add_apps();
  app.set_name("web");
  app.set_revision(3);
  app.set_generation(7);
  app.set_replicas(8);
  app.set_proxies_live(2);
  app.set_proxies_acked(2);
  app.set_rollout(v1::AppView::PROGRESSING);
  edit(app);
  return view;
}

void Settle(v1::AppView& app) {
  app.set_placed(8);
  app.set_ready(8);
  app.set_available(8);
  app.set_rollout(v1::AppView::COMPLETE);
  app.set_settled(true);
}

void SixOfEight(v1::AppView& app) {
  app.set_placed(6);
  app.set_ready(6);
  app.set_available(6);
  app.set_pending_reason("no node has room");
}

TEST(WaitTest, AnotherReleaseInItsPlaceIsAConflict) {
  WaitTarget target = Target();
  target.revision = 3;
  Wait wait(target, {}, kStart);
  wait.Observe(View([](v1::AppView& app) { app.set_generation(8); }), At(10));
  EXPECT_EQ(wait.outcome(), std::nullopt) << "promoted, for example";
  wait.Observe(View([](v1::AppView& app) {
                 Settle(app);
                 app.set_generation(9);
                 app.set_revision(4);
               }),
               At(20));
  EXPECT_EQ(wait.outcome(), ExitCode::kConflict);
  EXPECT_EQ(wait.FailureLine(), "web: r3 was replaced by r4 meanwhile, see `ctl events web`");
}

TEST(WaitTest, APauseIsSaidWhileItIsWaitedFor) {
  WaitPolicy policy;
  policy.timeout = Millis{1'000};
  Wait wait(Target(), policy, kStart);
  wait.Observe(View([](v1::AppView& app) { app.set_rollout(v1::AppView::PAUSED); }), At(10));
  EXPECT_THAT(wait.ProgressLine(At(10)), testing::EndsWith("  the rollout is paused"));
  wait.Tick(At(1'000));
  EXPECT_EQ(wait.outcome(), ExitCode::kTimeout);
  EXPECT_THAT(wait.FailureLine(), testing::EndsWith(": the rollout is paused; go on with: ctl "
                                                    "rollout resume web"));
}

TEST(WaitTest, OneViewDecides) {
  struct Case {
    std::string name;
    Goal goal;
    std::function<void(v1::AppView&)> edit;
    std::optional<ExitCode> want;
  };
  const Case cases[] = {
      {"settled", Goal::kSettled, Settle, ExitCode::kOk},
      {"settled, but before the change", Goal::kSettled,
       [](v1::AppView& app) {
         Settle(app);
         app.set_generation(6);
       },
       std::nullopt},
      {"settled after somebody's later change", Goal::kSettled,
       [](v1::AppView& app) {
         Settle(app);
         app.set_generation(9);
       },
       ExitCode::kOk},
      {"on the way", Goal::kSettled, [](v1::AppView& app) { app.set_placed(8); }, std::nullopt},
      {"failed", Goal::kSettled, [](v1::AppView& app) { app.set_rollout(v1::AppView::FAILED); },
       ExitCode::kRolloutFailed},
      {"failed before the change", Goal::kSettled,
       [](v1::AppView& app) {
         app.set_rollout(v1::AppView::FAILED);
         app.set_generation(6);
       },
       std::nullopt},
      {"rolled back", Goal::kSettled,
       [](v1::AppView& app) {
         app.set_rollout(v1::AppView::ROLLED_BACK);
         app.set_generation(8);
       },
       ExitCode::kRolloutFailed},
      {"rolled back, and settled already", Goal::kSettled,
       [](v1::AppView& app) {
         Settle(app);
         app.set_rollout(v1::AppView::ROLLED_BACK);
         app.set_generation(8);
       },
       ExitCode::kRolloutFailed},
      {"rolled back before, and nothing to change", Goal::kSettled,
       [](v1::AppView& app) {
         Settle(app);
         app.set_rollout(v1::AppView::ROLLED_BACK);
       },
       ExitCode::kOk},
      {"at a step that ends by promote", Goal::kSettled,
       [](v1::AppView& app) { app.set_waits_for_promote(true); }, ExitCode::kOk},
      {"paused", Goal::kSettled, [](v1::AppView& app) { app.set_rollout(v1::AppView::PAUSED); },
       std::nullopt},
      {"settled while old instances drain", Goal::kSettled,
       [](v1::AppView& app) {
         Settle(app);
         app.set_draining(3);
       },
       ExitCode::kOk},
      {"stopping, still draining", Goal::kStopped,
       [](v1::AppView& app) {
         app.set_stopped(true);
         app.set_settled(true);
         app.set_draining(2);
       },
       std::nullopt},
      {"stopped", Goal::kStopped,
       [](v1::AppView& app) {
         app.set_stopped(true);
         app.set_settled(true);
       },
       ExitCode::kOk},
      {"removal: still there", Goal::kRemoved, [](v1::AppView& app) { app.set_settled(true); },
       std::nullopt},
      {"removal of a failed app goes on", Goal::kRemoved,
       [](v1::AppView& app) { app.set_rollout(v1::AppView::FAILED); }, std::nullopt},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Wait wait(Target(c.goal), {}, kStart);
    wait.Observe(View(c.edit), At(100));
    EXPECT_EQ(wait.outcome(), c.want);
  }
}

TEST(WaitTest, AbsentAppIsTheGoalOfRemovalAndAnErrorOtherwise) {
  Wait removal({"web", "removed", 7, Goal::kRemoved}, {}, kStart);
  removal.Observe(v1::ClusterView(), At(1'200));
  EXPECT_EQ(removal.outcome(), ExitCode::kOk);
  EXPECT_EQ(removal.ResultLine(), "web removed  1.2 s");

  Wait scale(Target(), {}, kStart);
  scale.ObserveGone(At(10));
  EXPECT_EQ(scale.outcome(), ExitCode::kNotFound);
  EXPECT_EQ(scale.FailureLine(), "web: somebody removed the app");
}

TEST(WaitTest, PendingIsBelievedOnlyWhenItLasts) {
  Wait wait(Target(), {}, kStart);
  wait.Observe(View(SixOfEight), At(0));
  wait.Tick(At(1'999));
  EXPECT_EQ(wait.outcome(), std::nullopt);
  wait.Tick(At(2'000));
  EXPECT_EQ(wait.outcome(), ExitCode::kNotPlaced);
  EXPECT_EQ(wait.FailureLine(), "web: only 6 of 8 can be placed: no node has room");
}

TEST(WaitTest, PendingStartsAnewWhenItChanges) {
  Wait wait(Target(), {}, kStart);
  wait.Observe(View(SixOfEight), At(0));
  wait.Observe(View([](v1::AppView& app) {
                 SixOfEight(app);
                 app.set_placed(7);
                 app.set_available(7);
               }),
               At(1'900));
  wait.Tick(At(3'800));
  EXPECT_EQ(wait.outcome(), std::nullopt);
  wait.Tick(At(3'900));
  EXPECT_EQ(wait.outcome(), ExitCode::kNotPlaced);
}

TEST(WaitTest, PendingIsNotTheEndWhileOthersAreStillStarting) {
  Wait wait(Target(), {}, kStart);
  wait.Observe(View([](v1::AppView& app) {
                 SixOfEight(app);
                 app.set_available(5);
               }),
               At(0));
  wait.Tick(At(100'000));
  EXPECT_EQ(wait.outcome(), std::nullopt);
}

TEST(WaitTest, DrainingInstancesMayMakeRoom) {
  const auto pending_while_draining = [](v1::AppView& app) {
    SixOfEight(app);
    app.set_draining(2);
  };
  Wait wait(Target(), {}, kStart);
  wait.Observe(View(pending_while_draining), At(0));
  wait.Tick(At(20'000));
  EXPECT_EQ(wait.outcome(), std::nullopt);
  wait.Observe(View(Settle), At(25'000));
  EXPECT_EQ(wait.outcome(), ExitCode::kOk);
}

TEST(WaitTest, TimesOutAndSaysHowFarItCame) {
  WaitPolicy policy;
  policy.timeout = milliseconds{5'000};
  Wait wait(Target(), policy, kStart);
  wait.Observe(View([](v1::AppView& app) {
                 app.set_placed(8);
                 app.set_ready(3);
                 app.set_available(2);
               }),
               At(10));
  wait.Tick(At(5'000));
  EXPECT_EQ(wait.outcome(), ExitCode::kTimeout);
  EXPECT_EQ(wait.FailureLine(),
            "web: not done after 5.0 s: placed 8/8  ready 3/8  in rotation 2/8");
}

TEST(WaitTest, TimesOutWithoutEverSeeingAView) {
  Wait wait(Target(), {}, kStart);
  wait.Tick(At(300'000));
  EXPECT_EQ(wait.outcome(), ExitCode::kTimeout);
  EXPECT_EQ(wait.FailureLine(), "web: not done after 5 min 0 s");
}

TEST(WaitTest, ResultLines) {
  struct Case {
    std::string name;
    std::function<void(v1::AppView&)> edit;
    std::string want;
  };
  const Case cases[] = {
      {"plain", Settle, "web 2 -> 8  placed 8/8  ready 8/8  in rotation on 2/2 proxies  1.9 s"},
      {"draining",
       [](v1::AppView& app) {
         Settle(app);
         app.set_draining(3);
       },
       "web 2 -> 8  placed 8/8  ready 8/8  in rotation on 2/2 proxies  1.9 s  (3 draining)"},
      {"no proxy",
       [](v1::AppView& app) {
         Settle(app);
         app.set_proxies_live(0);
       },
       "web 2 -> 8  placed 8/8  ready 8/8  no proxy is connected  1.9 s"},
      {"a stopped app",
       [](v1::AppView& app) {
         app.set_stopped(true);
         app.set_settled(true);
       },
       "web 2 -> 8  stopped; start it with: ctl start web  1.9 s"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Wait wait(Target(), {}, kStart);
    wait.Observe(View(c.edit), At(1'900));
    ASSERT_EQ(wait.outcome(), ExitCode::kOk);
    EXPECT_EQ(wait.ResultLine(), c.want);
  }
}

TEST(WaitTest, ProgressTellsWhatHoldsItUp) {
  Wait wait(Target(), {}, kStart);
  EXPECT_EQ(wait.ProgressLine(At(300)), "web 2 -> 8  0.3 s");
  v1::ClusterView view = View([](v1::AppView& app) {
    SixOfEight(app);
    app.set_available(4);
    app.set_outdated(2);
    app.set_draining(1);
  });
  view.set_frozen(true);
  wait.Observe(view, At(500));
  EXPECT_EQ(wait.ProgressLine(At(1'200)),
            "web 2 -> 8  placed 6/8  ready 6/8  in rotation 4/8  old 2  draining 1  1.2 s  "
            "the cluster is frozen, see `ctl status`  no node has room");
}

}  // namespace
}  // namespace pando::ctl
