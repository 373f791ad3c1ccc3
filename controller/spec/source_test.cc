#include "controller/spec/source.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>

#include "absl/strings/str_cat.h"
#include "controller/spec/parse.h"

namespace pando::controller {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kDigest(64, 'a');
const std::string kName = "sha256:" + kDigest;

absl::StatusOr<v1::AppSpec> Parse(const std::string& rest) {
  ParseOptions options;
  options.base_dir = "/home/me";
  options.file_dir = "/home/me/conf";
  const auto specs = ParseSpecs("name: web\ncommand: [node, server.js]\n" + rest, options);
  if (!specs.ok()) return specs.status();
  return specs->apps.at(0);
}

TEST(SourceTest, ANameIsAllThatIsNeeded) {
  const auto spec = Parse("source: ./app@" + kName + "\n");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->source().dir(), "./app");
  EXPECT_EQ(spec->source().digest(), kDigest);
  EXPECT_EQ(spec->source().install_timeout_ms(), 600'000u);
  EXPECT_EQ(spec->dir(), "");
  EXPECT_EQ(Parse("source: " + kName + "\n")->source().dir(), "");
}

TEST(SourceTest, AnInstallStepIsAProgramOrAShellsText) {
  const auto list =
      Parse("source: {dir: " + kName + ", install: [npm, ci, --omit=dev], install_timeout: 2m}\n");
  ASSERT_TRUE(list.ok()) << list.status();
  EXPECT_THAT(list->source().install(), ElementsAre("npm", "ci", "--omit=dev"));
  EXPECT_FALSE(list->source().install_shell());
  EXPECT_EQ(list->source().install_timeout_ms(), 120'000u);
  const auto text = Parse("source: {dir: " + kName + ", install: npm ci --omit=dev}\n");
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_THAT(text->source().install(), ElementsAre("npm ci --omit=dev"));
  EXPECT_TRUE(text->source().install_shell());
}

TEST(SourceTest, TheWorkingDirectoryIsInside) {
  const std::string source = "source: " + kName + "\n";
  EXPECT_EQ(Parse(source + "dir: server\n")->dir(), "server");
  EXPECT_EQ(Parse(source + "dir: ./a/../server/\n")->dir(), "server");
  EXPECT_EQ(Parse(source + "dir: .\n")->dir(), "");
  for (const char* const outside : {"/srv", "..", "a/../../b"}) {
    EXPECT_THAT(std::string(Parse(absl::StrCat(source, "dir: ", outside, "\n")).status().message()),
                HasSubstr("is not inside of the source"));
  }
}

TEST(SourceTest, MistakesAreNamed) {
  struct Case {
    std::string yaml;
    std::string want;
  };
  const Case cases[] = {
      {"source: ./app\n", "source: \"./app\" has no digest (allowed: sha256:<64 hex digits>"},
      {"source: {install: npm ci}\n", "source.dir"},
      {"source: {dir: " + kName + ", install: \"\"}\n", "source.install: is empty"},
      {"source: {dir: " + kName + ", install: [\"\"]}\n", "the program to start is \"\""},
      {"source: {dir: " + kName + ", instal: x}\n", "did you mean install"},
      {"source: {dir: " + kName + ", install_timeout: 1ms}\n", "source.install_timeout"},
  };
  for (const Case& c : cases) {
    EXPECT_THAT(std::string(Parse(c.yaml).status().message()), HasSubstr(c.want)) << c.yaml;
  }
}

TEST(SourceTest, YamlReadsBackToTheSameMessage) {
  for (const std::string& yaml :
       {"source: " + kName + "\n", "source: ./app@" + kName + "\ndir: server\n",
        "source: {dir: " + kName + ", install: 'a \"b\" $c', install_timeout: 5m}\n",
        "source: {dir: ./x@" + kName + ", install: [npm, ci]}\n"}) {
    SCOPED_TRACE(yaml);
    const auto spec = Parse(yaml);
    ASSERT_TRUE(spec.ok()) << spec.status();
    const auto again = ParseSpecs(ToYaml(*spec), {});
    ASSERT_TRUE(again.ok()) << again.status() << ToYaml(*spec);
    EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(again->apps.at(0), *spec));
  }
}

}  // namespace
}  // namespace pando::controller
