#include "common/base/ip_range.h"

#include <gtest/gtest.h>

namespace pando {
namespace {

TEST(IpRangeTest, ReadsAndWritesAddresses) {
  struct Case {
    std::string text;
    std::string want;  // empty: refused
  };
  const Case cases[] = {
      {"10.1.2.3", "10.1.2.3"},
      {"2001:DB8:0::1", "2001:db8::1"},
      {"::", "::"},
      {"::ffff:1.2.3.4", "1.2.3.4"},
      {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
      {"", ""},
      {"localhost", ""},
      {"1.2.3", ""},
      {"1.2.3.4.5", ""},
      {"256.1.1.1", ""},
      {" 1.2.3.4", ""},
      {std::string("1.2.3.4\0", 8), ""},
      {"[::1]", ""},
      {"fe80::1%eth0", ""},
      {"1:2:3:4:5:6:7:8:9", ""},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    const std::optional<IpAddress> address = ParseIp(c.text);
    EXPECT_EQ(address.has_value(), !c.want.empty());
    if (address) {
      EXPECT_EQ(FormatIp(*address).view(), c.want);
    }
  }
}

TEST(IpRangeTest, RefusesRangesThatMeanSomethingElse) {
  for (const char* text : {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/-1",
                           "10.0.0.0/8 ", "10.0.0.0/08", "::/129", "2001:db8::1/32", "x/8"}) {
    SCOPED_TRACE(text);
    EXPECT_EQ(IpRange::Parse(text), std::nullopt);
  }
}

TEST(IpRangeTest, KnowsWhatItContains) {
  struct Case {
    std::string range;
    std::string address;
    bool want;
  };
  const Case cases[] = {
      {"10.0.0.0/8", "10.255.0.1", true},
      {"10.0.0.0/8", "11.0.0.1", false},
      {"192.168.4.0/22", "192.168.7.255", true},
      {"192.168.4.0/22", "192.168.8.0", false},
      {"127.0.0.1", "127.0.0.1", true},
      {"127.0.0.1", "127.0.0.2", false},
      {"0.0.0.0/0", "8.8.8.8", true},
      {"0.0.0.0/0", "::1", false},
      {"::/0", "::1", true},
      {"2001:db8::/32", "2001:db8:1::1", true},
      {"2001:db8::/32", "2001:db9::1", false},
      {"10.0.0.0/8", "::a00:1", false},
      {"10.0.0.0/8", "::ffff:10.0.0.1", true},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.range + " " + c.address);
    const std::optional<IpRange> range = IpRange::Parse(c.range);
    ASSERT_TRUE(range.has_value());
    EXPECT_EQ(range->Contains(ParseIp(c.address).value()), c.want);
    EXPECT_EQ(IpRange::Parse(range->ToString()), range);
  }
  EXPECT_EQ(IpRange::Parse("10.0.0.0/8")->ToString(), "10.0.0.0/8");
  EXPECT_EQ(IpRange::Parse("127.0.0.1")->ToString(), "127.0.0.1/32");
  EXPECT_EQ(IpRange::Parse("2001:db8::/32")->ToString(), "2001:db8::/32");
}

}  // namespace
}  // namespace pando
