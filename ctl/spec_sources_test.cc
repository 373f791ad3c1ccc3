#include "ctl/spec_sources.h"

#include <gmock/gmock.h>

namespace pando::ctl {
namespace {

using testing::HasSubstr;

const std::string kDigest(64, 'a');

std::string Filled(const std::string& yaml) {
  const auto spots = FindSources(yaml);
  if (!spots.ok()) return std::string(spots.status().message());
  return WithDigests(yaml, *spots, [](const SourceSpot&) { return kDigest; });
}

TEST(SpecSourcesTest, PutsDigestsWhereDirectoriesAre) {
  const std::string name = "@sha256:" + kDigest;
  struct Case {
    std::string yaml;
    std::string want;
  };
  const Case cases[] = {
      {"name: web\nsource: ./app\nreplicas: 2\n",
       "name: web\nsource: \"./app" + name + "\"\nreplicas: 2\n"},
      {"source: ./app  # here\n", "source: \"./app" + name + "\"  # here\n"},
      {"source: './a pp'\n", "source: \"./a pp" + name + "\"\n"},
      {"source: 'it''s'\n", "source: \"it's" + name + "\"\n"},
      {"source: \"a\\\"b\"\n", "source: \"a\\\"b" + name + "\"\n"},
      {"source:\n  dir: ./app\n  install: npm ci\n",
       "source:\n  dir: \"./app" + name + "\"\n  install: npm ci\n"},
      {"source: {install: [npm, ci], dir: ./app}\n",
       "source: {install: [npm, ci], dir: \"./app" + name + "\"}\n"},
      {"name: n\xc3\xa4me\nsource: a\n---\nname: b\nsource: \xc3\xa4\n",
       "name: n\xc3\xa4me\nsource: \"a" + name + "\"\n---\nname: b\nsource: \"\xc3\xa4" + name +
           "\"\n"},
  };
  for (const Case& c : cases) EXPECT_EQ(Filled(c.yaml), c.want);
}

TEST(SpecSourcesTest, LeavesTheRestAsItIs) {
  const std::string untouched[] = {
      "",
      "name: web\n",
      "source: sha256:" + kDigest + "\n",
      "source: ./app@sha256:" + kDigest + "\n",
      "source: {dir: ./app@sha256:" + kDigest + "}\n",
      "source:\n",
      "source: [a]\n",
      "- source: a\n",
      "source: {install: npm ci}\n",
      "source: a\n b: {",
  };
  for (const std::string& yaml : untouched) EXPECT_EQ(Filled(yaml), yaml);
}

TEST(SpecSourcesTest, ADirectoryOverSeveralLinesIsNamed) {
  EXPECT_THAT(Filled("name: web\nsource: >\n  ./app\n  more\n"), HasSubstr("2: source: write"));
}

}  // namespace
}  // namespace pando::ctl
