#include "common/runtime/flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

namespace pando {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class FlagsTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "pando_flags_test_" + std::to_string(getpid()) + ".toml";
    flags_.Add("data-dir", data_dir_, "where");
    flags_.Add("workers", workers_, "how many");
    flags_.AddSwitch("insecure", insecure_, "allow");
  }
  void TearDown() override {
    unlink(path_.c_str());
    for (const char* name : {"PANDO_DATA_DIR", "PANDO_WORKERS", "PANDO_INSECURE", "PANDO_CONFIG"}) {
      unsetenv(name);
    }
  }

  // Sets stdout_ and stderr_ as well.
  std::optional<int> Parse(std::vector<std::string> args) {
    args.insert(args.begin(), "/usr/sbin/pando-test");
    std::vector<char*> argv;
    for (std::string& arg : args) argv.push_back(arg.data());
    testing::internal::CaptureStdout();
    testing::internal::CaptureStderr();
    const auto result = flags_.Parse(static_cast<int>(argv.size()), argv.data());
    stdout_ = testing::internal::GetCapturedStdout();
    stderr_ = testing::internal::GetCapturedStderr();
    return result;
  }
  void WriteConfig(const std::string& text) { std::ofstream(path_) << text; }

  Flags flags_{"pando-test", "A test."};
  std::string data_dir_ = "/default";
  int workers_ = 2;
  bool insecure_ = false;
  std::string path_;
  std::string stdout_;
  std::string stderr_;
};

TEST_F(FlagsTest, KeepsDefaults) {
  EXPECT_EQ(Parse({}), std::nullopt);
  EXPECT_EQ(data_dir_, "/default");
  EXPECT_EQ(workers_, 2);
  EXPECT_FALSE(insecure_);
}

TEST_F(FlagsTest, FlagWinsOverEnvironmentOverFile) {
  WriteConfig("data-dir = \"/file\"\nworkers = 7\ninsecure = true\n");
  setenv("PANDO_DATA_DIR", "/env", 1);
  setenv("PANDO_WORKERS", "5", 1);
  EXPECT_EQ(Parse({"--config", path_, "--workers=3"}), std::nullopt) << stderr_;
  EXPECT_EQ(workers_, 3);
  EXPECT_EQ(data_dir_, "/env");
  EXPECT_TRUE(insecure_);
}

TEST_F(FlagsTest, FileMayBeNamedByTheEnvironment) {
  WriteConfig("workers = 7\n");
  setenv("PANDO_CONFIG", path_.c_str(), 1);
  EXPECT_EQ(Parse({}), std::nullopt) << stderr_;
  EXPECT_EQ(workers_, 7);
}

TEST_F(FlagsTest, SwitchFromTheEnvironment) {
  setenv("PANDO_INSECURE", "true", 1);
  EXPECT_EQ(Parse({}), std::nullopt) << stderr_;
  EXPECT_TRUE(insecure_);
}

TEST_F(FlagsTest, HelpAndVersionGoToStdoutWithCodeZero) {
  EXPECT_EQ(Parse({"--version"}), 0);
  EXPECT_THAT(stdout_, StartsWith("pando-test 0."));
  EXPECT_EQ(Parse({"--help"}), 0);
  EXPECT_THAT(stdout_, HasSubstr("--data-dir"));
  EXPECT_THAT(stdout_, HasSubstr("PANDO_DATA_DIR"));
  EXPECT_EQ(stderr_, "");
}

TEST_F(FlagsTest, EveryErrorIsOneLineThatNamesTheFlag) {
  struct Case {
    std::string name;
    std::vector<std::string> args;
    std::string config;
    std::string named;
  };
  const Case cases[] = {
      {"unknown flag", {"--frobnicate"}, "", "--frobnicate"},
      {"not a number", {"--workers", "many"}, "", "--workers"},
      {"value missing", {"--data-dir"}, "", "--data-dir"},
      {"stray word", {"start"}, "", "start"},
      {"bad log level", {"--log-level", "loud"}, "", "--log-level"},
      {"no such file", {"--config", "/nonexistent/pando.toml"}, "", "/nonexistent/pando.toml"},
      {"unknown key", {"--config", path_}, "wrokers = 1\n", "wrokers"},
      {"bad value in file", {"--config", path_}, "workers = \"x\"\n", "workers"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    WriteConfig(c.config);
    EXPECT_EQ(Parse(c.args), 2);
    EXPECT_THAT(stderr_, StartsWith("pando-test: "));
    EXPECT_THAT(stderr_, HasSubstr(c.named));
    EXPECT_EQ(stderr_.find('\n'), stderr_.size() - 1);
    EXPECT_EQ(stdout_, "");
  }
}

TEST(HostPortTest, Parses) {
  struct Case {
    std::string text, host;
    uint16_t port;
  };
  const Case cases[] = {{"127.0.0.1:7400", "127.0.0.1", 7400},
                        {"node-1.example:0", "node-1.example", 0},
                        {"[::1]:80", "::1", 80},
                        {"localhost:65535", "localhost", 65535}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.text);
    const auto parsed = ParseHostPort("--listen", c.text);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(parsed->host, c.host);
    EXPECT_EQ(parsed->port, c.port);
    EXPECT_EQ(parsed->ToString(), c.text);
  }
}

TEST(HostPortTest, RejectsAndNamesTheField) {
  for (const std::string text : {"", "7400", "127.0.0.1", ":7400", "::1:80", "a:", "a:-1", "a:+1",
                                 "a:65536", "a:99999999999", "a:80x", "[]:80", "[a]:80"}) {
    SCOPED_TRACE(text);
    const auto parsed = ParseHostPort("--listen", text);
    EXPECT_FALSE(parsed.ok());
    EXPECT_THAT(std::string(parsed.status().message()), StartsWith("--listen: "));
  }
}

TEST(ListenAddressTest, BeyondLoopbackNeedsInsecure) {
  for (const std::string host :
       {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "localhost"}) {
    EXPECT_TRUE(CheckListenAddress("--listen", {host, 1}, false).ok()) << host;
  }
  for (const std::string host : {"0.0.0.0", "10.0.0.1", "::", "::ffff:10.0.0.1", "node-1"}) {
    const absl::Status status = CheckListenAddress("--listen", {host, 1}, false);
    EXPECT_THAT(std::string(status.message()), HasSubstr("--insecure")) << host;
    EXPECT_TRUE(CheckListenAddress("--listen", {host, 1}, true).ok()) << host;
  }
}

}  // namespace
}  // namespace pando
