#include "proxy/core/retry.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "proxy/core/load.h"
#include "proxy/core/suspicion.h"

namespace pando::proxy {
namespace {

TEST(RetryTest, TriesAgainOnlyWhatIsSafe) {
  struct Case {
    std::string name;
    RetryQuestion question;
    bool want;
  };
  const Case cases[] = {
      {"POST not sent", {AttemptFailure::kNotSent, false, true, 1}, true},
      {"POST not sent, many refused", {AttemptFailure::kNotSent, false, true, 8}, false},
      {"GET, kept connection closed", {AttemptFailure::kReusedClosed, true, true, 1}, true},
      {"POST, kept connection closed", {AttemptFailure::kReusedClosed, false, true, 1}, false},
      {"GET, instance died", {AttemptFailure::kNoResponse, true, true, 1}, true},
      {"GET, instances keep dying", {AttemptFailure::kNoResponse, true, true, 3}, false},
      {"POST, instance died", {AttemptFailure::kNoResponse, false, true, 1}, false},
      {"PUT, body gone", {AttemptFailure::kNoResponse, true, false, 1}, false},
      {"GET, too slow a try", {AttemptFailure::kTryTimeout, true, true, 1, 1}, true},
      {"GET, after many refused", {AttemptFailure::kTryTimeout, true, true, 7, 1}, true},
      {"GET, two too slow", {AttemptFailure::kTryTimeout, true, true, 2, 2}, false},
      {"POST, too slow a try", {AttemptFailure::kTryTimeout, false, true, 1, 1}, false},
      {"PUT, too slow, body gone", {AttemptFailure::kTryTimeout, true, false, 1, 1}, false},
      {"GET, too late", {AttemptFailure::kTooLate, true, true, 1}, false},
      {"GET, response begun", {AttemptFailure::kResponseStarted, true, true, 1}, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(MayRetry(c.question), c.want);
  }
}

TEST(RetryTest, BudgetIsAShareOfTheActive) {
  RetryBudget budget;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(budget.TryTake(1));
  EXPECT_FALSE(budget.TryTake(1));
  EXPECT_FALSE(budget.TryTake(19));
  EXPECT_TRUE(budget.TryTake(20));
  EXPECT_FALSE(budget.TryTake(20));
  budget.GiveBack();
  EXPECT_TRUE(budget.TryTake(20));
  EXPECT_EQ(budget.taken(), 4u);
}

TEST(RetryTest, ActiveAreTheRequestsInHandWithoutTunnels) {
  Cluster cluster;
  for (int i = 0; i < 3; ++i) {
    cluster.endpoints.emplace_back().counters = std::make_shared<EndpointCounters>();
  }
  EXPECT_EQ(ActiveRequests(cluster), 0u);
  cluster.endpoints[0].counters->in_flight = 5;
  cluster.endpoints[0].counters->tunnels = 2;
  cluster.endpoints[2].counters->in_flight = 1;
  EXPECT_EQ(ActiveRequests(cluster), 4u);
}

TEST(SuspicionTest, GrowsWithFailuresAndEndsWithSuccess) {
  Suspicion suspicion;
  Instant now{Millis{1'000'000}};
  EXPECT_FALSE(suspicion.Holds(now));
  suspicion.OnFailure(now);
  EXPECT_TRUE(suspicion.Holds(now + Millis{249}));
  EXPECT_FALSE(suspicion.Holds(now + Millis{250}));
  suspicion.OnFailure(now);
  EXPECT_TRUE(suspicion.Holds(now + Millis{499}));
  for (int i = 0; i < 20; ++i) suspicion.OnFailure(now);
  EXPECT_EQ(suspicion.until(), now + Suspicion::kLongest);
  suspicion.OnSuccess();
  EXPECT_FALSE(suspicion.Holds(now));
}

}  // namespace
}  // namespace pando::proxy
