#include "artifact/core/entry_rules.h"

#include <gtest/gtest.h>

namespace pando::artifact {
namespace {

TEST(EntryRulesTest, PathsStayInside) {
  struct Case {
    std::string path;
    std::string why;
  };
  const Case cases[] = {
      {"server.js", ""},
      {"a/b/c", ""},
      {"a..b/...", ""},
      {"", "has no name"},
      {"/etc/passwd", "is an absolute path"},
      {"..", "has a .. in its path"},
      {"../x", "has a .. in its path"},
      {"a/../../x", "has a .. in its path"},
      {"a/..", "has a .. in its path"},
      {"a//b", "has an empty part in its path"},
      {"a/./b", "has an empty part in its path"},
      {std::string("a\0b", 3), "has a zero byte in its name"},
      {std::string(256, 'x'), "has a name that is too long"},
      {std::string(kMaxPathBytes + 1, 'x'), "has a name that is too long"},
  };
  for (const Case& c : cases) EXPECT_EQ(WhyBadPath(c.path), c.why) << c.path;
}

TEST(EntryRulesTest, LinksStayInside) {
  struct Case {
    std::string path;
    std::string target;
    std::string why;
  };
  const Case cases[] = {
      {"current", "releases/7", ""},
      {"node_modules/.bin/tsc", "../typescript/bin/tsc", ""},
      {"a/b/up", "../..", ""},
      {"a/b/up", "../../x", ""},
      {"self", ".", ""},
      {"a", "./b", ""},
      {"a", "/etc/passwd", "is a link to an absolute path"},
      {"a", "..", "is a link that leads out"},
      {"a/b", "../../x", "is a link that leads out"},
      {"a/b", "./../../x", "is a link that leads out"},
      {"a", "b/../../x", "is a link with a .. behind a name"},
      // By its letters it stays inside; were b a link to a directory further up, it would not.
      {"a", "b/..", "is a link with a .. behind a name"},
      {"a", "", "is a link to nothing"},
      {"a", std::string(kMaxPathBytes + 1, 'x'), "is a link whose target is too long"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(WhyBadLink(c.path, c.target), c.why) << c.path << " -> " << c.target;
  }
}

TEST(EntryRulesTest, TrimsWhatTarsPutAroundAName) {
  EXPECT_EQ(TrimPath("./a/b/"), "a/b");
  EXPECT_EQ(TrimPath("./"), "");
  EXPECT_EQ(TrimPath("."), "");
  EXPECT_EQ(TrimPath("/"), "/");
  EXPECT_EQ(TrimPath("a"), "a");
}

}  // namespace
}  // namespace pando::artifact
