#include "ctl/scale_args.h"

#include <gtest/gtest.h>

namespace pando::ctl {
namespace {

TEST(ScaleArgsTest, AllWaysToSayHowMany) {
  struct Case {
    std::vector<std::string> words;
    std::string replicas;
    std::string app;
    bool relative;
    int32_t number;
  };
  const Case cases[] = {
      {{"web", "8"}, "", "web", false, 8},
      {{"web=8"}, "", "web", false, 8},
      {{"web"}, "8", "web", false, 8},
      {{}, "8", "", false, 8},
      {{"8"}, "", "", false, 8},
      {{"web", "+2"}, "", "web", true, 2},
      {{"web", "-1"}, "", "web", true, -1},
      {{"web=+2"}, "", "web", true, 2},
      {{"-1"}, "", "", true, -1},
      {{"web"}, "+3", "web", true, 3},
      {{"web", "0"}, "", "web", false, 0},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.words.empty() ? c.replicas : c.words.back());
    const auto request = ParseScaleArgs(c.words, c.replicas);
    ASSERT_TRUE(request.ok()) << request.status();
    EXPECT_EQ(request->app(), c.app);
    EXPECT_EQ(request->relative(), c.relative);
    EXPECT_EQ(c.relative ? request->delta() : static_cast<int32_t>(request->replicas()), c.number);
  }
}

TEST(ScaleArgsTest, RefusesWhatIsNotClear) {
  struct Case {
    std::vector<std::string> words;
    std::string replicas;
    std::string want;
  };
  const Case cases[] = {
      {{"web"}, "", "scale: say how many, for example: ctl scale web 8"},
      {{}, "", "scale: say how many, for example: ctl scale web 8"},
      {{"web", "8"}, "9", "scale: the number of replicas is given twice"},
      {{"web=8", "9"}, "", "scale: the number of replicas is given twice"},
      {{"web", "many"}, "", "\"many\" is not a number of replicas (8, +2 or -1)"},
      {{"web="}, "", "\"\" is not a number of replicas (8, +2 or -1)"},
      {{"web", "+-2"}, "", "\"+-2\" is not a number of replicas (8, +2 or -1)"},
      {{"web", "99999999999999999999"},
       "",
       "\"99999999999999999999\" is not a number of replicas (8, +2 or -1)"},
  };
  for (const Case& c : cases) {
    const auto request = ParseScaleArgs(c.words, c.replicas);
    ASSERT_FALSE(request.ok()) << c.want;
    EXPECT_EQ(request.status().message(), c.want);
  }
}

}  // namespace
}  // namespace pando::ctl
