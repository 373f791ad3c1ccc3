#include "agent/env_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <map>
#include <string>

#include "agent/testing/test_harness.h"

namespace pando::agent {
namespace {

using testing::ElementsAre;
using testing::Pair;
using Variables = std::map<std::string, std::string>;

TEST(EnvFileTest, ReadsWhatPeopleWrite) {
  struct Case {
    const char* name = nullptr;
    std::string text;
    Variables want;
  };
  const Case cases[] = {
      {"nothing", "", {}},
      {"comments and empty lines", "# A=1\n\n   \n  # B=2", {}},
      {"bare", "A=1\nB = two words \nC=", {{"A", "1"}, {"B", "two words"}, {"C", ""}}},
      {"a comment behind", "A=1 # one\nB=x#y\nC=# none", {{"A", "1"}, {"B", "x#y"}, {"C", ""}}},
      {"exported", "export A=1\nexport  B='2'", {{"A", "1"}, {"B", "2"}}},
      {"double quotes", R"(A="a \"b\"\n\$c \d" # more)", {{"A", "a \"b\"\n$c \\d"}}},
      {"single quotes", R"(A='a "b" \n # c')", {{"A", R"(a "b" \n # c)"}}},
      {"several lines", "A='1\n2'\nB=\"3\n4\"\nC=5", {{"A", "1\n2"}, {"B", "3\n4"}, {"C", "5"}}},
      {"of other systems",
       "\xEF\xBB\xBF"
       "A=1\r\nB='2'\r\n",
       {{"A", "1"}, {"B", "2"}}},
      {"= in a value", "URL=postgres://h/d?a=b", {{"URL", "postgres://h/d?a=b"}}},
      {"the last one wins", "A=1\nA=2", {{"A", "2"}}},
      {"nothing is expanded", "A=$HOME\nB=\"${HOME}\"", {{"A", "$HOME"}, {"B", "${HOME}"}}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Variables variables;
    const absl::Status status = ParseEnvFile(c.text, variables);
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(variables, c.want);
  }
}

TEST(EnvFileTest, NamesTheLineThatIsWrong) {
  struct Case {
    std::string text;
    const char* want = nullptr;
  };
  const Case cases[] = {
      {"A=1\nB", "line 2: there is no = (needed: NAME=value)"},
      {"A='1\n2'\nB C=1", "line 3: \"B C\" is not the name of a variable"},
      {"1A=1", "line 1: \"1A\" is not the name of a variable"},
      {"=1", "line 1: \"\" is not the name of a variable"},
      {"A=1\nB=\"x\ny", "line 2: a \" is not closed"},
      {"A='x", "line 1: a ' is not closed"},
      {"A='x' y", "line 1: more text behind a quoted value"},
      {std::string("A=x\0y", 5), "line 1: there is a NUL character"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    Variables variables;
    EXPECT_EQ(ParseEnvFile(c.text, variables).message(), c.want);
  }
}

TEST(EnvFileTest, LaterFilesWinAndTheOneThatIsWrongIsNamed) {
  const TempDir temp;
  const std::string& dir = temp.path();
  ASSERT_TRUE(WriteFileAtomically(dir + "/.env", "A=1\nB=1\n").ok());
  ASSERT_TRUE(WriteFileAtomically(dir + "/local", "B=2\n").ok());
  ASSERT_TRUE(WriteFileAtomically(dir + "/bad", "B=2\nC\n").ok());
  ASSERT_EQ(mkfifo((dir + "/fifo").c_str(), 0600), 0);
  const auto variables = ReadEnvFiles({".env", dir + "/local"}, dir);
  ASSERT_TRUE(variables.ok()) << variables.status();
  EXPECT_THAT(*variables, ElementsAre(Pair("A", "1"), Pair("B", "2")));
  EXPECT_EQ(ReadEnvFiles({"none"}, dir).status().message(),
            "env_files: no such file: " + dir + "/none");
  EXPECT_EQ(ReadEnvFiles({"bad"}, dir).status().message(),
            "env_files: " + dir + "/bad: line 2: there is no = (needed: NAME=value)");
  EXPECT_EQ(ReadEnvFiles({"fifo"}, dir).status().message(),
            "env_files: " + dir + "/fifo is not a file");
}

}  // namespace
}  // namespace pando::agent
