#include "controller/core/evidence.h"

#include <gmock/gmock.h>

namespace pando::controller {
namespace {

// `requests` of which so many failed, all within `ms`.
Load Of(uint64_t requests, uint64_t errors, uint32_t ms = 5) {
  Load load{.requests = requests, .errors = errors};
  for (size_t i = 0; i <= kLatencyBoundsMs.size(); ++i) {
    if (i == kLatencyBoundsMs.size() || ms <= kLatencyBoundsMs[i]) {
      load.latency[i] = requests;
      break;
    }
  }
  return load;
}

Load Plus(Load load, const Load& other) {
  load += other;
  return load;
}

TEST(EvidenceTest, SpeaksOnlyWhenItIsClear) {
  struct Case {
    std::string name;
    Load fresh, old;
    std::string want;  // empty: nothing
  };
  const Case cases[] = {
      {"nothing is known", {}, {}, ""},
      {"all well", Of(1000, 0), Of(1000, 0), ""},
      {"too few", Of(19, 19), Of(1000, 0), ""},
      {"all fail", Of(20, 20), Of(1000, 0), "errors 100.0% of 20 requests (r1: 0.0% of 1000)"},
      {"also without a comparison", Of(20, 20), {}, "errors 100.0% of 20 requests (r1: 0.0% of 0)"},
      {"one of twenty may be chance", Of(20, 1), Of(1000, 0), ""},
      {"five of a hundred are not", Of(100, 5), Of(1000, 0),
       "errors 5.0% of 100 requests (r1: 0.0% of 1000)"},
      {"the old one fails as often", Of(1000, 100), Of(1000, 100), ""},
      {"it fails much more often", Of(1000, 300), Of(1000, 100),
       "errors 30.0% of 1000 requests (r1: 10.0% of 1000)"},
      {"slower", Of(300, 0, 400), Of(300, 0, 40),
       "p99 up to 500 ms of 300 requests (r1: up to 50 ms of 300)"},
      {"a few slow ones may be chance", Plus(Of(300, 0, 40), Of(5, 0, 400)), Of(300, 0, 40), ""},
      {"many are not", Plus(Of(300, 0, 40), Of(15, 0, 400)), Of(300, 0, 40),
       "p99 up to 500 ms of 315 requests (r1: up to 50 ms of 300)"},
      {"slower by less than the classes can tell", Of(300, 0, 180), Of(300, 0, 90), ""},
      {"slower by little", Of(300, 0, 40), Of(300, 0, 5), ""},
      {"slower, of few requests", Of(199, 0, 400), Of(300, 0, 40), ""},
      {"slower, compared with few requests", Of(300, 0, 400), Of(199, 0, 40), ""},
      {"beyond measure", Of(300, 0, 20'000), Of(300, 0, 40),
       "p99 over 10000 ms of 300 requests (r1: up to 50 ms of 300)"},
      {"both beyond measure", Of(300, 0, 20'000), Of(300, 0, 20'000), ""},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(JudgeEvidence(c.fresh, c.old, {}, "r1").value_or(""), c.want);
  }
}

TEST(EvidenceTest, TheP99IsTheClassOfTheSlowestHundredth) {
  EXPECT_EQ(P99Ms({}), std::nullopt);
  Load load = Of(99, 0, 5);
  load += Of(1, 0, 1'000);
  EXPECT_EQ(P99Ms(load), 5u);
  load += Of(1, 0, 1'000);
  EXPECT_EQ(P99Ms(load), 1'000u);
}

TEST(EvidenceTest, MuchMoreIsAQuarterOfAnyFigure) {
  EXPECT_FALSE(IsMuchMore({}, {}));
  EXPECT_TRUE(IsMuchMore(Of(1, 0), {}));
  EXPECT_FALSE(IsMuchMore(Of(125, 10), Of(100, 10)));
  EXPECT_TRUE(IsMuchMore(Of(126, 10), Of(100, 10)));
  EXPECT_TRUE(IsMuchMore(Of(100, 13), Of(100, 10)));
  EXPECT_TRUE(IsMuchMore(Plus(Of(100, 0), Of(1, 0, 400)), Of(100, 0)));
}

TEST(EvidenceTest, TheLowerBoundComesNearWithTheNumber) {
  EXPECT_EQ(LowerBound(0, 0), 0);
  EXPECT_LT(LowerBound(1, 10), 0.05);
  EXPECT_GT(LowerBound(1'000, 10'000), 0.09);
  EXPECT_LT(LowerBound(1'000, 10'000), 0.1);
}

}  // namespace
}  // namespace pando::controller
