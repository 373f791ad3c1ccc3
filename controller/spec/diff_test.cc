#include "controller/spec/diff.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "controller/spec/parse.h"

namespace pando::controller {

void PrintTo(const FieldDifference& difference, std::ostream* out) {
  *out << difference.field << ": " << difference.old_value << " -> " << difference.new_value;
}

namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ParsedSpecs Parse(const std::string& yaml) {
  const auto specs = ParseSpecs(yaml, {"app.yaml", "/home/me", "/home/me"});
  EXPECT_TRUE(specs.ok()) << specs.status();
  return specs.value_or(ParsedSpecs());
}

std::vector<FieldDifference> DiffApps(const std::string& before, const std::string& after) {
  const std::string head = "name: web\n";
  return DiffSpecs(Parse(head + before).apps.at(0), Parse(head + after).apps.at(0));
}

TEST(DiffTest, NamesFieldsAsTheSpecDoes) {
  struct Case {
    std::string name;
    std::string before;
    std::string after;
    std::vector<FieldDifference> want;
  };
  const Case cases[] = {
      {"nothing", "command: [a]\n", "command: [a]\n", {}},
      {"a default written out is no difference",
       "command: [a]\n",
       "command: [a]\nhealth: {interval: 1000ms}\nroute: {path: /}\n",
       {}},
      {"the order of env is none",
       "command: [a]\nenv: {A: 1, B: 2}\n",
       "command: [a]\nenv: {B: 2, A: 1}\n",
       {}},
      {"env changed, added, removed",
       "command: [a]\nenv: {LEVEL: info, OLD: x}\n",
       "command: [a]\nenv: {LEVEL: debug, NEW: \"\"}\n",
       {{"env.LEVEL", "info", "debug"}, {"env.NEW", "", "\"\""}, {"env.OLD", "x", ""}}},
      {"a list is one field",
       "command: [node, server.js]\n",
       "command: [node, \"a b\", \"\"]\n",
       {{"command", "[node, server.js]", "[node, \"a b\", \"\"]"}}},
      {"units are those of the spec",
       "command: [a]\nstop: {grace: 10s}\n",
       "command: [a]\nstop: {grace: 90s}\nresources: {memory: 512Mi}\n",
       {{"resources.memory", "", "512Mi"}, {"stop.grace", "10s", "90s"}}},
      {"another kind of probe",
       "command: [a]\n",
       "command: [a]\nhealth: {path: /healthz}\n",
       {{"health.path", "", "/healthz"}, {"health.tcp", "true", ""}}},
      {"the number of replicas is not a release's",
       "command: [a]\nreplicas: 2\n",
       "command: [a]\nreplicas: 3\n",
       {}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(DiffApps(c.before, c.after), c.want);
  }
}

TEST(DiffTest, GatewaysToo) {
  const v1::Gateway plain = Parse("kind: Gateway\nport: 8080\n").gateways.at(0);
  const v1::Gateway tls =
      Parse("kind: Gateway\nport: 8443\ntls: {certificates: [{cert: /a.pem, key: /a.key}]}\n")
          .gateways.at(0);
  EXPECT_THAT(DiffGateways(plain, plain), IsEmpty());
  EXPECT_THAT(DiffGateways(plain, tls),
              ElementsAre(FieldDifference{"port", "8080", "8443"},
                          FieldDifference{"tls.certificates[0].cert", "", "/a.pem"},
                          FieldDifference{"tls.certificates[0].key", "", "/a.key"},
                          FieldDifference{"tls.min_version", "", "1.2"}));
  EXPECT_THAT(DiffGateways({}, plain), ElementsAre(FieldDifference{"address", "", "0.0.0.0"},
                                                   FieldDifference{"port", "", "8080"}));
}

TEST(GatewayYamlTest, ReadsBackToTheSameMessage) {
  const std::string cases[] = {
      "kind: Gateway\n",
      "kind: Gateway\nname: edge\naddress: \"::1\"\nport: 443\ntls: {certificates: [{cert: /a.pem, "
      "key: /a.key}, {cert: /b.pem, key: /b.key}], min_version: 1.3, redirect: {from: 80, to: "
      "444}}\n",
      "kind: Gateway\ntimeouts: {head: 5s, idle: 1m, stream_idle: 1h}\nlimits: {request_line: 8Ki, "
      "head: 32Ki, fields: 100}\nproxy_protocol: true\nforwarded: {mode: append, trusted: "
      "[10.0.0.0/8, \"2001:db8::1\"], rfc7239: true, traces: pass}\n",
  };
  for (const std::string& yaml : cases) {
    SCOPED_TRACE(yaml);
    const v1::Gateway gateway = Parse(yaml).gateways.at(0);
    const std::string written = ToYaml(gateway);
    SCOPED_TRACE(written);
    EXPECT_TRUE(
        google::protobuf::util::MessageDifferencer::Equals(Parse(written).gateways.at(0), gateway));
  }
}

TEST(SpecOriginTest, NamesTheLineOfTheFieldOrTheNearestAroundIt) {
  const ParsedSpecs specs = Parse(
      "kind: Gateway\nport: 80\n---\n\nname: web\ncommand: [a]\nroute:\n  path: /\n  hosts: "
      "[x.org]\n");
  const SpecOrigin& app = specs.app_origins.at(0);
  EXPECT_EQ(app.Complain("route.hosts", "taken"), "app.yaml:9: route.hosts: taken");
  EXPECT_EQ(app.Complain("route.other", "taken"), "app.yaml:7: route.other: taken");
  EXPECT_EQ(app.Complain("placement", "odd"), "app.yaml:5: placement: odd");
  EXPECT_EQ(app.Complain("", "odd"), "app.yaml:5: odd");
  EXPECT_EQ(specs.gateway_origins.at(0).Complain("port", "taken"), "app.yaml:2: port: taken");
}

TEST(ParseFilesTest, SeveralFilesAreOneSpecWithoutDoubles) {
  const ParseOptions a{"a.yaml", "/base", "/a"};
  const ParseOptions b{"b.yaml", "/base", "/b"};
  const auto both = ParseSpecs(
      {SpecFile{"name: web\ncommand: [x]\n", a}, SpecFile{"name: api\ncommand: [x]\n", b}});
  ASSERT_TRUE(both.ok()) << both.status();
  EXPECT_EQ(both->apps.at(0).dir(), "/a");
  EXPECT_EQ(both->apps.at(1).dir(), "/b");
  EXPECT_EQ(both->app_origins.at(1).filename, "b.yaml");

  const auto twice = ParseSpecs({SpecFile{"name: web\ncommand: [x]\nhelth: 1\n", a},
                                 SpecFile{"\nname: web\ncommand: []\n", b}});
  EXPECT_EQ(twice.status().message(),
            "a.yaml:3: unknown key helth (did you mean health?)\n"
            "b.yaml:2: name: \"web\" is taken (by the document a.yaml:1)\n"
            "b.yaml:3: command: has 0 items (allowed: 1 to 1000)");
}

}  // namespace
}  // namespace pando::controller
