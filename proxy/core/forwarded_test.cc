#include "proxy/core/forwarded.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace pando::proxy {
namespace {

using Mode = ForwardPolicy::Mode;

std::string Lines(const std::string& fields, const RequestOrigin& origin,
                  const ForwardPolicy& policy) {
  const std::string bytes = "GET / HTTP/1.1\r\nHost: a:80\r\n" + fields + "\r\n";
  RequestHead head;
  const HeadError error = ParseRequestHead(bytes, head);
  EXPECT_FALSE(error) << error.reason;
  std::string out;
  AppendForwardedLines(head, origin, policy, out);
  return out;
}

TEST(ForwardedTest, BelievesOnlyWhomItIsTold) {
  const std::string claims =
      "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 7.7.7.7\r\nX-Forwarded-Proto: https\r\n"
      "X-Forwarded-Host: b\r\nForwarded: for=6.6.6.6\r\n";
  struct Case {
    std::string name;
    std::string fields;
    bool trusted;
    Mode mode;
    std::string want;
  };
  const std::string own = "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: http\r\n";
  const Case cases[] = {
      {"nothing claimed", "", false, Mode::kReplace, own + "X-Forwarded-Host: a:80\r\n"},
      {"replaced", claims, false, Mode::kReplace, own + "X-Forwarded-Host: a:80\r\n"},
      {"appended to, the rest replaced", claims, false, Mode::kAppend,
       "X-Forwarded-For: 6.6.6.6, 7.7.7.7, 1.1.1.1\r\nX-Forwarded-Proto: http\r\n"
       "X-Forwarded-Host: a:80\r\n"},
      {"trusted", claims, true, Mode::kReplace,
       "X-Forwarded-For: 6.6.6.6, 7.7.7.7, 1.1.1.1\r\nX-Forwarded-Proto: https\r\n"
       "X-Forwarded-Host: b\r\n"},
      {"trusted, but it makes no sense",
       "X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: b\r\nX-Forwarded-Host: c\r\n", true,
       Mode::kReplace, own + "X-Forwarded-Host: a:80\r\n"},
      {"trusted, but it is no host", "X-Forwarded-Host: b/c\r\n", true, Mode::kReplace,
       own + "X-Forwarded-Host: a:80\r\n"},
      {"meant for one hop", "X-Forwarded-For: 6.6.6.6\r\nConnection: x-forwarded-for\r\n", true,
       Mode::kReplace, own + "X-Forwarded-Host: a:80\r\n"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    ForwardPolicy policy;
    policy.mode = c.mode;
    EXPECT_EQ(Lines(c.fields, {"1.1.1.1", "http", c.trusted}, policy), c.want);
  }
}

TEST(ForwardedTest, SpeaksRfc7239) {
  struct Case {
    std::string name;
    std::string fields;
    RequestOrigin origin;
    std::string want;
  };
  const Case cases[] = {
      {"first", "", {"1.1.1.1", "http", false}, "for=1.1.1.1;proto=http;host=\"a:80\""},
      {"IPv6 is quoted",
       "",
       {"2001:db8::1", "https", false},
       "for=\"[2001:db8::1]\";proto=https;host=\"a:80\""},
      {"untrusted",
       "Forwarded: for=6.6.6.6\r\n",
       {"1.1.1.1", "http", false},
       "for=1.1.1.1;proto=http;host=\"a:80\""},
      {"trusted",
       "Forwarded: for=6.6.6.6;host=\"x,\\\"y\", for=_h\r\nForwarded: for=7.7.7.7\r\n",
       {"1.1.1.1", "http", true},
       "for=6.6.6.6;host=\"x,\\\"y\", for=_h, for=7.7.7.7, for=1.1.1.1;proto=http;host=\"a:80\""},
      {"an open quote would swallow what follows",
       "Forwarded: for=\"6.6.6.6\r\nForwarded: for=\"x\\\"\r\n",
       {"1.1.1.1", "http", true},
       "for=1.1.1.1;proto=http;host=\"a:80\""},
  };
  ForwardPolicy policy;
  policy.rfc7239 = true;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const std::string lines = Lines(c.fields, c.origin, policy);
    EXPECT_EQ(lines.substr(lines.find("\r\nForwarded: ") + 2), "Forwarded: " + c.want + "\r\n");
  }
}

TEST(ForwardedTest, TrustsByRange) {
  ForwardPolicy policy;
  EXPECT_FALSE(policy.Trusts(ParseIp("127.0.0.1").value()));
  policy.trusted = {*IpRange::Parse("10.0.0.0/8"), *IpRange::Parse("::1")};
  EXPECT_TRUE(policy.Trusts(ParseIp("10.9.9.9").value()));
  EXPECT_TRUE(policy.Trusts(ParseIp("::1").value()));
  EXPECT_FALSE(policy.Trusts(ParseIp("11.0.0.1").value()));
}

TEST(ForwardedTest, KeepsAGoodRequestIdAndMakesOneOtherwise) {
  FastRandom random(7);
  for (const char* id : {"r1", "7f0c-11ee/abc:4=@x", "a"}) {
    std::string out;
    AppendRequestId(id, random, out);
    EXPECT_EQ(out, id);
  }
  std::string last;
  for (const std::string& bad :
       {std::string(), std::string("a b"), std::string("a\"b"), std::string("a,b"),
        std::string(129, 'x'), std::string("\xc3\xa4")}) {
    std::string out;
    AppendRequestId(bad, random, out);
    EXPECT_EQ(out.size(), 32u);
    EXPECT_EQ(out.find_first_not_of("0123456789abcdef"), std::string::npos);
    EXPECT_NE(out, last);
    last = out;
  }
}

TEST(ForwardedTest, KnowsATraceparent) {
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const std::string parent = "00f067aa0ba902b7";
  const std::string good = "00-" + trace + "-" + parent + "-01";
  EXPECT_TRUE(IsTraceparent(good));
  EXPECT_TRUE(IsTraceparent("cc-" + trace + "-" + parent + "-01-what-ever"));
  const std::string bad_ones[] = {
      "",
      absl::StrCat("ff-", trace, "-", parent, "-01"),
      absl::StrCat(good, "-more"),
      good.substr(0, 54),
      absl::StrCat("cc-", trace, "-", parent, "-01x"),
      absl::StrCat("00-", std::string(32, '0'), "-", parent, "-01"),
      absl::StrCat("00-", trace, "-", std::string(16, '0'), "-01"),
      absl::StrCat("0g-", trace, "-", parent, "-01"),
      absl::StrCat("00-4BF92F3577B34DA6A3CE929D0E0E4736-", parent, "-01"),
      absl::StrCat("00_", trace, "-", parent, "-01"),
  };
  for (const std::string& bad : bad_ones) {
    SCOPED_TRACE(bad);
    EXPECT_FALSE(IsTraceparent(bad));
  }
  FastRandom random(1);
  std::string made;
  AppendNewTraceparent(random, made);
  EXPECT_TRUE(IsTraceparent(made)) << made;
}

}  // namespace
}  // namespace pando::proxy
