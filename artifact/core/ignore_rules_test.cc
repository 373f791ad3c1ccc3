#include "artifact/core/ignore_rules.h"

#include <gtest/gtest.h>

namespace pando::artifact {
namespace {

TEST(IgnoreRulesTest, FollowsGitignore) {
  struct Case {
    std::string rules;
    std::string path;
    bool is_directory;
    std::optional<bool> want;
  };
  const Case cases[] = {
      {"", "a", false, std::nullopt},
      {"# a\n\na", "a", false, true},
      {"a\r\n", "a", false, true},
      {"a", "b/c/a", false, true},
      {"a", "ab", false, std::nullopt},
      // Tied to the directory by a slash in front or in the middle.
      {"/a", "a", false, true},
      {"/a", "b/a", false, std::nullopt},
      {"a/b", "a/b", false, true},
      {"a/b", "x/a/b", false, std::nullopt},
      // Directories only.
      {"node_modules/", "node_modules", true, true},
      {"node_modules/", "sub/node_modules", true, true},
      {"node_modules/", "node_modules", false, std::nullopt},
      // Wildcards do not cross slashes.
      {"*.log", "a.log", false, true},
      {"*.log", "logs/.a.log", false, true},
      {"a/*.log", "a/b/c.log", false, std::nullopt},
      {"?.js", "a.js", false, true},
      {"?.js", "ab.js", false, std::nullopt},
      {"[a-c].js", "b.js", false, true},
      {"[!a-c].js", "b.js", false, std::nullopt},
      // Any number of directories.
      {"**/a", "a", false, true},
      {"**/a", "x/y/a", false, true},
      {"a/**", "a/x/y", false, true},
      {"a/**", "a", true, std::nullopt},
      {"a/**/b", "a/b", false, true},
      {"a/**/b", "a/x/y/b", false, true},
      {"a/**/**/b", "a/b", false, true},
      {"a/**/b", "ab", false, std::nullopt},
      // The last word counts.
      {"*.log\n!keep.log", "keep.log", false, false},
      {"!keep.log\n*.log", "keep.log", false, true},
      {"*\n!*.js", "a.js", false, false},
      // What would mean something is meant as it is behind a backslash.
      {"\\#a", "#a", false, true},
      {"\\!a", "!a", false, true},
      {"a\\ ", "a ", false, true},
      {"a  ", "a", false, true},
      {"\\*", "*", false, true},
      {"\\*", "a", false, std::nullopt},
      // Nothing is left of these.
      {"/", "a", true, std::nullopt},
      {"!", "a", true, std::nullopt},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(IgnoreRules(c.rules).Ignores(c.path, c.is_directory), c.want)
        << c.rules << " on " << c.path;
  }
}

}  // namespace
}  // namespace pando::artifact
