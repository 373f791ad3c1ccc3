#include "controller/service/controller_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pando::controller {
namespace {

using ::testing::HasSubstr;

TEST(ParseDurationTest, TakesWholeNumbersWithAUnit) {
  const struct {
    const char* text;
    int64_t want_ms;  // 0: an error
  } cases[] = {{"500ms", 500}, {"2s", 2'000}, {"1m", 60'000}, {"1h", 3'600'000},
               {"61m", 0},     {"0s", 0},     {"2", 0},       {"s", 0},
               {"-1s", 0},     {"1.5s", 0},   {"", 0},        {"2 s", 0}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const auto parsed = ParseDuration("--x", c.text);
    EXPECT_EQ(parsed.ok() ? parsed->count() : 0, c.want_ms);
  }
}

TEST(ControllerFlagsTest, NamesTheFlagThatIsWrong) {
  ControllerFlags flags;
  EXPECT_TRUE(flags.Read().ok());
  flags.suspect_after = "soon";
  EXPECT_THAT(std::string(flags.Read().status().message()), HasSubstr("--suspect-after: \"soon\""));
  flags.suspect_after = "10s";
  EXPECT_THAT(std::string(flags.Read().status().message()), HasSubstr("--lost-after"));
  flags = {};
  EXPECT_EQ(flags.Read()->policy.rebalance_after, Millis{30'000});
  flags.rebalance_after = "never";
  EXPECT_EQ(flags.Read()->policy.rebalance_after, Millis{0});
  flags.rebalance_after = "often";
  EXPECT_THAT(std::string(flags.Read().status().message()), HasSubstr("--rebalance-after"));
  flags = {};
  flags.listen = "0.0.0.0:7400";
  EXPECT_THAT(std::string(flags.Read().status().message()), HasSubstr("--listen"));
  flags.insecure = true;
  EXPECT_TRUE(flags.Read().ok());
}

}  // namespace
}  // namespace pando::controller
