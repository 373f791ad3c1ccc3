#include "agent/delay_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "common/runtime/manual_executor.h"

namespace pando::agent {
namespace {

using testing::IsEmpty;

constexpr char kPage[] = "nodejs_eventloop_lag_p99_seconds 0.25\n";
constexpr Millis kLong{60'000};

class DelayWatchTest : public testing::Test {
 protected:
  void Start(DelayWatchPolicy policy = {}) {
    watch_.emplace(
        loop_,
        [this](const DelayWatch::Subject& subject, PageDone done) {
          times_[subject.id.value].push_back(loop_.Now());
          open_.emplace_back(subject, std::move(done));
          most_open_ = std::max(most_open_, open_.size());
          if (answer_) Answer(*answer_);
        },
        [this](bool read) { ++(read ? read_ : failed_); }, /*seed=*/1, policy);
  }
  static DelayWatch::Subject Subject(const std::string& id, uint32_t incarnation = 1) {
    return {{id}, incarnation, 20'000, "/metrics"};
  }
  // The oldest ask that is open; later, as a page that is fetched would.
  void Answer(const absl::StatusOr<std::string>& page) {
    loop_.Post([done = open_.front().second, page] { done(page); });
    open_.pop_front();
  }
  std::optional<double> P99(const std::string& id, uint32_t incarnation = 1) {
    const auto delay = watch_->Of({id}, incarnation);
    return delay ? delay->p99_seconds : std::nullopt;
  }

  ManualExecutor loop_;
  std::optional<absl::StatusOr<std::string>> answer_ = std::string(kPage);
  std::deque<std::pair<DelayWatch::Subject, PageDone>> open_;
  std::map<std::string, std::vector<Instant>> times_;
  size_t most_open_ = 0;
  int read_ = 0;
  int failed_ = 0;
  std::optional<DelayWatch> watch_;
};

TEST_F(DelayWatchTest, AsksEachAboutOnceAnIntervalAtATimeOfItsOwn) {
  Start();
  watch_->Watch({Subject("a"), Subject("b")});
  EXPECT_EQ(P99("a"), std::nullopt);
  for (int second = 0; second < 100; ++second) {
    watch_->Watch({Subject("a"), Subject("b")});  // as after each sample
    loop_.Advance(Millis{1'000});
  }
  EXPECT_EQ(P99("a"), 0.25);
  for (const auto& [id, times] : times_) {
    EXPECT_GE(times.size(), 18u);
    EXPECT_LE(times.size(), 23u);
    std::set<Millis> pauses;
    for (size_t i = 1; i < times.size(); ++i) {
      const auto pause = std::chrono::duration_cast<Millis>(times[i] - times[i - 1]);
      EXPECT_GE(pause, Millis{4'500});
      EXPECT_LE(pause, Millis{5'500});
      pauses.insert(pause);
    }
    EXPECT_GT(pauses.size(), 5u) << "they drift apart";
  }
  EXPECT_NE(times_["a"].front(), times_["b"].front());
  EXPECT_EQ(read_, static_cast<int>(times_["a"].size() + times_["b"].size()));
}

TEST_F(DelayWatchTest, NeverAsksAgainBeforeTheAnswer) {
  Start();
  answer_.reset();
  watch_->Watch({Subject("a")});
  loop_.Advance(kLong);
  EXPECT_EQ(times_["a"].size(), 1u);
  Answer(std::string(kPage));
  loop_.Advance(Millis{5'500});
  EXPECT_EQ(times_["a"].size(), 2u);
}

TEST_F(DelayWatchTest, NeverAsksMoreThanAFewAtOnce) {
  Start({.most_at_once = 3});
  answer_.reset();
  std::vector<DelayWatch::Subject> subjects;
  for (int i = 0; i < 20; ++i) subjects.push_back(Subject("web-" + std::to_string(i)));
  watch_->Watch(subjects);
  loop_.Advance(kLong);
  EXPECT_EQ(most_open_, 3u);
  for (int i = 0; i < 400; ++i) {
    if (!open_.empty()) Answer(std::string(kPage));
    loop_.Advance(Millis{100});
  }
  EXPECT_EQ(most_open_, 3u);
  EXPECT_EQ(times_.size(), 20u) << "everybody's turn comes";
}

TEST_F(DelayWatchTest, ForgetsWhatIsNotSaidAnyMore) {
  Start();
  watch_->Watch({Subject("a")});
  loop_.Advance(kLong);
  ASSERT_EQ(P99("a"), 0.25);
  answer_ = absl::DeadlineExceededError("no answer within 5000 ms");
  loop_.Advance(Millis{5'500});
  EXPECT_EQ(P99("a"), 0.25) << "an app that is busy for a moment";
  loop_.Advance(kLong);
  EXPECT_EQ(P99("a"), std::nullopt);
  EXPECT_GE(failed_, 3);
  answer_ = std::string(kPage);
  loop_.Advance(kLong);
  EXPECT_EQ(P99("a"), 0.25);
  answer_ = std::string("up 1\n");
  loop_.Advance(Millis{5'500});
  EXPECT_EQ(P99("a"), std::nullopt);
}

TEST_F(DelayWatchTest, AsksRarelyWhereThereIsNoEventLoop) {
  Start();
  answer_ = std::string("up 1\n");
  watch_->Watch({Subject("a")});
  loop_.Advance(Millis{600'000});
  EXPECT_GE(times_["a"].size(), 9u);
  EXPECT_LE(times_["a"].size(), 13u);
}

TEST_F(DelayWatchTest, AnotherIncarnationStartsAnew) {
  Start();
  watch_->Watch({Subject("a")});
  loop_.Advance(kLong);
  watch_->Watch({Subject("a", 2)});
  EXPECT_EQ(P99("a", 1), std::nullopt);
  EXPECT_EQ(P99("a", 2), std::nullopt);
  loop_.Advance(kLong);
  EXPECT_EQ(P99("a", 2), 0.25);
  EXPECT_EQ(P99("a", 1), std::nullopt);
}

TEST_F(DelayWatchTest, WhoIsGoneIsNotAskedAndItsLateAnswerCountsForNobody) {
  Start();
  answer_.reset();
  watch_->Watch({Subject("a")});
  loop_.Advance(kLong);
  watch_->Watch({Subject("a", 2)});
  Answer(std::string(kPage));
  loop_.Advance(Millis{0});
  EXPECT_EQ(P99("a", 2), std::nullopt);
  watch_->Watch({});
  open_.clear();
  times_.clear();
  loop_.Advance(kLong);
  EXPECT_THAT(times_, IsEmpty());
}

TEST_F(DelayWatchTest, AnAnswerAfterItsEndIsNoHarm) {
  Start();
  answer_.reset();
  watch_->Watch({Subject("a")});
  loop_.Advance(kLong);
  ASSERT_EQ(open_.size(), 1u);
  watch_.reset();
  Answer(std::string(kPage));
  loop_.Advance(kLong);
  EXPECT_EQ(read_, 0);
}

}  // namespace
}  // namespace pando::agent
