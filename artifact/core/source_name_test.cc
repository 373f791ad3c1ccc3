#include "artifact/core/source_name.h"

#include <gtest/gtest.h>

namespace pando::artifact {
namespace {

const std::string kDigest(64, 'a');

TEST(SourceNameTest, TellsDirectoriesAndDigestsApart) {
  struct Case {
    std::string text;
    std::string dir;
    std::string digest;
  };
  const Case cases[] = {
      {"./app", "./app", ""},
      {"sha256:" + kDigest, "", kDigest},
      {"./app@sha256:" + kDigest, "./app", kDigest},
      {"./a@b/app", "./a@b/app", ""},
      {"./a@b@sha256:" + kDigest, "./a@b", kDigest},
      {"sha256:abc", "sha256:abc", ""},
      {"", "", ""},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    const SourceName name = ParseSourceName(c.text);
    EXPECT_EQ(name.dir, c.dir);
    EXPECT_EQ(name.digest, c.digest);
    EXPECT_EQ(ToText(name), c.text);
  }
}

TEST(SourceNameTest, ADigestIsSixtyFourLowerCaseHexDigits) {
  EXPECT_TRUE(IsDigest(kDigest));
  EXPECT_FALSE(IsDigest(kDigest.substr(1)));
  EXPECT_FALSE(IsDigest(std::string(64, 'A')));
  EXPECT_FALSE(IsDigest(std::string(63, 'a') + "/"));
  EXPECT_FALSE(IsDigest(""));
}

}  // namespace
}  // namespace pando::artifact
