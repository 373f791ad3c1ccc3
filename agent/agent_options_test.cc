#include "agent/agent_options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "agent/testing/test_harness.h"

namespace pando::agent {
namespace {

AgentFlags Defaults() {
  AgentFlags flags;
  flags.shim = ShimPath();
  return flags;
}

TEST(AgentOptionsTest, DefaultsAreAsDocumented) {
  const auto options = Defaults().Read();
  ASSERT_TRUE(options.ok()) << options.status();
  EXPECT_EQ(options->data_dir, "/var/lib/pando/agent");
  EXPECT_EQ(options->controller.ToString(), "127.0.0.1:7400");
  EXPECT_EQ(options->http_listen, "127.0.0.1:7481");
  EXPECT_EQ(options->ports.first, 20'000);
  EXPECT_EQ(options->ports.last, 29'999);
  EXPECT_EQ(options->max_instances, 1'000u);
  EXPECT_FALSE(options->node.empty());
}

TEST(AgentOptionsTest, BadValuesNameTheirFlag) {
  struct Case {
    std::function<void(AgentFlags&)> change;
    std::string want;
  };
  const Case cases[] = {
      {[](AgentFlags& f) { f.port_range = "9"; }, "--port-range: \"9\""},
      {[](AgentFlags& f) { f.controller = "nowhere"; }, "--controller"},
      {[](AgentFlags& f) { f.http_listen = "0.0.0.0:7481"; }, "--http-listen"},
      {[](AgentFlags& f) { f.advertise_address = "web.example"; }, "--advertise-address"},
      {[](AgentFlags& f) { f.advertise_address = "0.0.0.0"; }, "--advertise-address"},
      {[](AgentFlags& f) { f.labels = {"zone"}; }, "--label: \"zone\" is not of the form"},
      {[](AgentFlags& f) { f.shim = "/no/such/shim"; }, "--shim: /no/such/shim"},
  };
  for (const Case& c : cases) {
    AgentFlags flags = Defaults();
    c.change(flags);
    EXPECT_THAT(std::string(flags.Read().status().message()), testing::HasSubstr(c.want));
  }
}

TEST(AgentOptionsTest, FewerPortsMeanFewerInstances) {
  AgentFlags flags = Defaults();
  flags.port_range = "20000-20009";
  EXPECT_EQ(flags.Read()->max_instances, 10u);
  flags.max_instances = 3;
  EXPECT_EQ(flags.Read()->max_instances, 3u);
}

TEST(FindShimTest, LooksBesideTheAgentAndInLibexec) {
  const TempDir temp;
  for (const char* dir : {"/bin", "/libexec", "/libexec/pando"}) {
    mkdir((temp.path() + dir).c_str(), 0755);
  }
  const std::string agent = temp.path() + "/bin/pando-agent";
  EXPECT_FALSE(FindShim(agent).ok());
  const std::string installed = temp.path() + "/libexec/pando/pando-shim";
  ASSERT_TRUE(WriteFileAtomically(installed, "").ok());
  chmod(installed.c_str(), 0755);
  EXPECT_EQ(*FindShim(agent), installed);
  const std::string beside = temp.path() + "/bin/pando-shim";
  ASSERT_TRUE(WriteFileAtomically(beside, "").ok());
  chmod(beside.c_str(), 0755);
  EXPECT_EQ(*FindShim(agent), beside);
}

}  // namespace
}  // namespace pando::agent
