#include "ctl/bench_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pando::ctl {
namespace {

using namespace std::chrono_literals;  // NOLINT(google-build-using-namespace)
using testing::HasSubstr;

TEST(BenchUrlTest, IsTakenApart) {
  struct Case {
    const char* url;
    const char* host;
    uint16_t port;
    const char* target;
  };
  const Case cases[] = {
      {"http://127.0.0.1:8080/work?x=1#top", "127.0.0.1", 8080, "/work?x=1"},
      {"http://example.com", "example.com", 80, "/"},
      {"HTTP://example.com?q", "example.com", 80, "/?q"},
      {"http://[::1]:9000/", "::1", 9000, "/"},
      {"http://[fd00::2]", "fd00::2", 80, "/"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.url);
    const auto url = ParseBenchUrl(c.url);
    ASSERT_TRUE(url.ok()) << url.status();
    EXPECT_EQ(url->host, c.host);
    EXPECT_EQ(url->port, c.port);
    EXPECT_EQ(url->target, c.target);
  }
}

TEST(BenchUrlTest, WhatIsNoUrlIsRefusedAndSaysWhy) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "is not a URL"},
      {"127.0.0.1:8080", "is not a URL"},
      {"https://example.com", "needs TLS"},
      {"http:///path", "names no host"},
      {"http://me@example.com/", "names no host"},
      {"http://example.com:0/", "has a port"},
      {"http://example.com:65536/", "has a port"},
      {"http://example.com:x/", "has a port"},
      {"http://[::1/", "has no ]"},
      {"http://[::1]x/", "has a port"},
      {"http://example.com/a b", "has blanks"},
      {"http://example.com/\r\nHost: evil", "has blanks"},
  };
  for (const auto& [url, why] : cases) {
    SCOPED_TRACE(url);
    const auto parsed = ParseBenchUrl(url);
    ASSERT_FALSE(parsed.ok());
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr(why));
    EXPECT_THAT(std::string(parsed.status().message()), HasSubstr("allowed: http://"));
  }
}

TEST(BenchPlanTest, RequestsAreDueAtTheRateWhateverBecomesOfThem) {
  BenchPlan plan;
  plan.rate = 200;
  plan.duration = Millis{1'500};
  EXPECT_EQ(plan.requests(), 300u);
  EXPECT_EQ(plan.DueAfter(0), 0ns);
  EXPECT_EQ(plan.DueAfter(1), 5ms);
  EXPECT_EQ(plan.DueAt(-1ns), 0u);
  EXPECT_EQ(plan.DueAt(0ns), 1u);
  EXPECT_EQ(plan.DueAt(5ms - 1ns), 1u);
  EXPECT_EQ(plan.DueAt(5ms), 2u);
  EXPECT_EQ(plan.DueAt(1h), 300u);
}

TEST(BenchPlanTest, EveryRequestIsDueExactlyOnceAtAnyRate) {
  for (const double rate : {0.3, 1.0, 7.0, 33.3, 999.0, 100'000.0}) {
    SCOPED_TRACE(rate);
    BenchPlan plan;
    plan.rate = rate;
    plan.duration = Millis{10'000};
    for (uint64_t number = 0; number < std::min<uint64_t>(plan.requests(), 5'000); ++number) {
      ASSERT_EQ(plan.DueAt(plan.DueAfter(number)), number + 1) << number;
    }
  }
}

TEST(BenchPlanTest, TheLoadIsBounded) {
  BenchPlan plan;
  EXPECT_TRUE(CheckBenchPlan(plan).ok());
  plan.rate = 0;
  EXPECT_THAT(std::string(CheckBenchPlan(plan).message()), HasSubstr("--rate: 0 is not in"));
  plan.rate = 1e9;
  EXPECT_FALSE(CheckBenchPlan(plan).ok());
  plan = {};
  plan.connections = 0;
  EXPECT_THAT(std::string(CheckBenchPlan(plan).message()), HasSubstr("--connections: 0"));
  plan = {};
  plan.duration = Millis{3'600'001};
  EXPECT_THAT(std::string(CheckBenchPlan(plan).message()), HasSubstr("--duration: at most 1h"));
}

BenchResult Example() {
  BenchResult result;
  result.due = 10;
  result.answered = 9;
  result.by_status = {{200, 8}, {503, 1}};
  result.errors = {{"connect: Connection refused", 1}};
  for (int i = 1; i <= 9; ++i) result.latency.Record(i * 1ms);
  result.longest_wait = 2ms;
  result.connects = 3;
  result.elapsed = Millis{1'000};
  return result;
}

TEST(BenchTextTest, SaysWhatFailedAndDrawsTheLatencies) {
  BenchPlan plan;
  plan.rate = 10;
  const std::string text = BenchText(plan, Example(), false);
  EXPECT_THAT(text, HasSubstr("10 due, 9 answered (200: 8, 503: 1), 2 failed\n"));
  EXPECT_THAT(text, HasSubstr("1 x connect: Connection refused\n"));
  EXPECT_THAT(text, HasSubstr("rate       9.0/s of 10.0/s\n"));
  EXPECT_THAT(text, HasSubstr("p99 9.0ms"));
  EXPECT_THAT(text, HasSubstr("  to     10ms         5  #####"));
}

TEST(BenchJsonTest, HasEveryFigure) {
  const std::string json = BenchJson({}, Example());
  for (const char* part :
       {"\"due\":10", "\"answered\":9", "\"failed\":2", "\"statuses\":{\"200\":8,\"503\":1}",
        "\"errors\":{\"connect: Connection refused\":1}", "\"max\":0.009",
        "\"longest_wait_seconds\":0.002", "\"histogram\":[{\"to_seconds\":"}) {
    EXPECT_THAT(json, HasSubstr(part));
  }
}

TEST(BenchResultTest, NothingAnsweredIsNoReasonToFallOver) {
  BenchResult result;
  result.due = 3;
  EXPECT_EQ(result.failed(), 3u);
  EXPECT_THAT(BenchText({}, result, true), HasSubstr("3 failed"));
  EXPECT_THAT(BenchJson({}, result), HasSubstr("\"histogram\":[]"));
}

}  // namespace
}  // namespace pando::ctl
