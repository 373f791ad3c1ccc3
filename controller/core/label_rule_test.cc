#include "controller/core/label_rule.h"

#include <gtest/gtest.h>

namespace pando::controller {
namespace {

TEST(LabelRuleTest, MatchesAndSaysWhyNot) {
  const Labels labels = {{"disk", "ssd"}, {"zone", "a"}};
  struct Case {
    std::string text;
    bool matches;
    std::string why;
  };
  const Case cases[] = {
      {"disk=ssd", true, ""},
      {"disk=hdd|ssd", true, ""},
      {"disk=hdd", false, "has disk=ssd"},
      {"rack=1", false, "has no label rack"},
      {"zone!=b|c", true, ""},
      {"zone!=b|a", false, "has zone=a"},
      {"rack!=1", true, ""},
      {"zone", true, ""},
      {"gpu", false, "has no label gpu"},
      {"!gpu", true, ""},
      {"!zone", false, "has zone=a"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    const auto rule = ParseLabelRule(c.text);
    ASSERT_TRUE(rule.ok()) << rule.status();
    EXPECT_EQ(ToText(*rule), c.text);
    EXPECT_EQ(Matches(*rule, labels), c.matches);
    if (c.matches) continue;
    EXPECT_EQ(WhyNotMatching(*rule, labels), c.why);
  }
}

TEST(LabelRuleTest, RefusesWhatIsNoRule) {
  for (const char* text : {"", "!", "=a", "!=a", "zone=", "zone=a|", "zone==a|", "a b", "!a=b"}) {
    SCOPED_TRACE(text);
    const auto rule = ParseLabelRule(text);
    ASSERT_FALSE(rule.ok());
    EXPECT_NE(rule.status().message().find("(allowed: disk=ssd, zone=a|b, zone!=c, gpu or !gpu)"),
              std::string::npos)
        << rule.status();
  }
}

}  // namespace
}  // namespace pando::controller
