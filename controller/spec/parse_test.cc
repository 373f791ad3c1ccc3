#include "controller/spec/parse.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace pando::controller {
namespace {

using ::google::protobuf::util::MessageDifferencer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

const ParseOptions kOptions{"app.yaml", "/home/me", "/home/me/conf"};

v1::AppSpec ParseApp(const std::string& yaml) {
  const auto specs = ParseSpecs(yaml, kOptions);
  EXPECT_TRUE(specs.ok()) << specs.status();
  if (!specs.ok() || specs->apps.size() != 1) return {};
  return specs->apps[0];
}

std::string Complaints(const std::string& yaml) {
  const auto specs = ParseSpecs(yaml, kOptions);
  if (specs.ok()) return "";
  EXPECT_TRUE(absl::IsInvalidArgument(specs.status()));
  return std::string(specs.status().message());
}

TEST(ParseTest, ANameAndACommandAreEnough) {
  const v1::AppSpec spec = ParseApp("name: web\ncommand: [node, server.js]\n");
  EXPECT_EQ(spec.name(), "web");
  EXPECT_THAT(spec.command(), ElementsAre("node", "server.js"));
  EXPECT_FALSE(spec.shell());
  EXPECT_EQ(spec.dir(), "/home/me/conf");
  EXPECT_FALSE(spec.has_replicas());
  EXPECT_EQ(spec.health().kind(), v1::HealthCheck::TCP);
  EXPECT_EQ(spec.health().interval_ms(), 1'000u);
  EXPECT_EQ(spec.health().timeout_ms(), 500u);
  EXPECT_EQ(spec.health().healthy_threshold(), 1u);
  EXPECT_EQ(spec.health().unhealthy_threshold(), 3u);
  EXPECT_EQ(spec.health().startup_ms(), 30'000u);
  EXPECT_THAT(spec.route().hosts(), ElementsAre("*"));
  EXPECT_EQ(spec.route().path(), "/");
  EXPECT_EQ(spec.load_balancing().policy(), v1::LoadBalancing::LEAST_REQUEST);
  EXPECT_EQ(spec.stop().signal(), "SIGTERM");
  EXPECT_EQ(spec.stop().grace_ms(), 10'000u);
  EXPECT_EQ(spec.stop().drain_ms(), 30'000u);
  EXPECT_EQ(spec.resources().cpu_millis(), 0u);
  EXPECT_EQ(spec.resources().memory_bytes(), 0u);
  EXPECT_EQ(spec.timeouts().connect_ms(), 1'000u);
  EXPECT_EQ(spec.timeouts().first_byte_ms(), 0u);
  EXPECT_EQ(spec.timeouts().total_ms(), 0u);
  EXPECT_EQ(spec.timeouts().per_try_ms(), 0u);
  EXPECT_EQ(spec.limits().body_bytes(), 0u);
  EXPECT_EQ(spec.restart().backoff_initial_ms(), 100u);
  EXPECT_EQ(spec.restart().backoff_max_ms(), 30'000u);
  EXPECT_EQ(spec.restart().reset_after_ms(), 10'000u);
  EXPECT_FALSE(spec.has_metrics());
  EXPECT_EQ(spec.strategy().max_surge().value(), 25u);
  EXPECT_TRUE(spec.strategy().max_surge().percent());
  EXPECT_EQ(spec.strategy().max_unavailable().value(), 0u);
  EXPECT_EQ(spec.strategy().min_ready_ms(), 0u);
  EXPECT_EQ(spec.strategy().progress_deadline_ms(), 600'000u);
  EXPECT_TRUE(spec.strategy().auto_rollback());
  EXPECT_EQ(spec.strategy().observe_ms(), 2'000u);
  EXPECT_EQ(spec.strategy().canary().steps_size(), 0);
  EXPECT_FALSE(spec.strategy().blue_green());
  EXPECT_FALSE(spec.strategy().manual_gate());
  EXPECT_EQ(spec.strategy().evidence().min_requests(), 20u);
  EXPECT_FALSE(spec.has_port());
  EXPECT_FALSE(spec.has_startup());
  EXPECT_FALSE(spec.has_liveness());
}

constexpr char kFull[] = R"(kind: App
name: hello
command: [node, server.js, 3000, --flag]
dir: deploy/examples/../hello/
env: {SERVICE_MS: "5", RATIO: 0.5, ON: true, EMPTY: "", TEXT: "two\nlines, ü"}
env_files: [.env, /etc/hello.env]
port: {fixed: 8080}
replicas: 4
health: {path: "/healthz?full=1", codes: [200, 300-399], headers: {X-Probe: "a: b"}, host: www.example.com, interval: 250ms, timeout: 100ms, healthy: 2, unhealthy: 5, startup: 1m}
startup: {command: [bin/started, --quiet], timeout: 3s, healthy: 2}
liveness: {grpc: true, service: acme.v1.Orders, interval: 10s, unhealthy: 2}
route: {hosts: [WWW.example.com, "*.example.org"], path: /api/}
load_balancing: {policy: maglev, key: "header:X-User", slow_start: 10s}
concurrency: 4
queue: {max: 100, timeout: 5s}
outliers: {failures: 3, ejection: 2s, max_ejection: 20s, max_percent: 30}
stop: {signal: SIGINT, grace: 1.5s, drain: 0s, drain_tunnels: 2m}
resources: {cpu: 0.5, memory: 512MiB, max_cpu: 2, max_memory: 1Gi, max_processes: 200, max_open_files: 4096}
isolation: {user: www-data, group: 33, allow_new_privileges: true, private_tmp: true, read_only: [/etc, /usr]}
placement: {labels: {disk: ssd, zone: "a 1"}, constraints: [zone!=b, "!gpu"], spread: [rack], max_per_node: 2}
timeouts: {connect: 250ms, per_try: 5s, first_byte: 30s, total: 2m}
limits: {body: 10MiB}
restart: {backoff: 50ms, max_backoff: 5s, reset_after: 1m}
metrics: {path: "/metrics?format=text"}
strategy:
  max_surge: 3
  max_unavailable: 20%
  min_ready: 2s
  progress_deadline: 1m
  auto_rollback: false
  observe: 5s
  canary: {steps: [5%, 50%], interval: 2m}
  gate: manual
  evidence: {min_requests: 100, errors: 5%, latency: 150%}
)";

TEST(ParseTest, ReadsEveryField) {
  const v1::AppSpec spec = ParseApp(kFull);
  EXPECT_THAT(spec.command(), ElementsAre("node", "server.js", "3000", "--flag"));
  EXPECT_EQ(spec.dir(), "/home/me/deploy/hello");
  EXPECT_THAT(spec.env(), SizeIs(5));
  EXPECT_EQ(spec.env().at("RATIO"), "0.5");
  EXPECT_EQ(spec.env().at("ON"), "true");
  EXPECT_EQ(spec.env().at("EMPTY"), "");
  EXPECT_EQ(spec.env().at("TEXT"), "two\nlines, ü");
  EXPECT_THAT(spec.env_files(), ElementsAre(".env", "/etc/hello.env"));
  EXPECT_EQ(spec.isolation().user(), "www-data");
  EXPECT_EQ(spec.isolation().group(), "33");
  EXPECT_TRUE(spec.isolation().allow_new_privileges());
  EXPECT_TRUE(spec.isolation().private_tmp());
  EXPECT_THAT(spec.isolation().read_only(), ElementsAre("/etc", "/usr"));
  EXPECT_EQ(spec.port().fixed(), 8'080u);
  EXPECT_EQ(spec.replicas(), 4u);
  EXPECT_EQ(spec.health().kind(), v1::HealthCheck::HTTP);
  EXPECT_EQ(spec.health().path(), "/healthz?full=1");
  ASSERT_THAT(spec.health().codes(), SizeIs(2));
  EXPECT_EQ(spec.health().codes(0).last(), 200u);
  EXPECT_EQ(spec.health().codes(1).first(), 300u);
  EXPECT_EQ(spec.health().codes(1).last(), 399u);
  EXPECT_EQ(spec.health().headers().at("X-Probe"), "a: b");
  EXPECT_EQ(spec.health().host(), "www.example.com");
  EXPECT_EQ(spec.health().interval_ms(), 250u);
  EXPECT_EQ(spec.health().timeout_ms(), 100u);
  EXPECT_EQ(spec.health().healthy_threshold(), 2u);
  EXPECT_EQ(spec.health().unhealthy_threshold(), 5u);
  EXPECT_EQ(spec.health().startup_ms(), 60'000u);
  EXPECT_THAT(spec.route().hosts(), ElementsAre("www.example.com", "*.example.org"));
  EXPECT_EQ(spec.route().path(), "/api");
  EXPECT_EQ(spec.load_balancing().policy(), v1::LoadBalancing::MAGLEV);
  EXPECT_EQ(spec.load_balancing().key(), v1::LoadBalancing::HEADER);
  EXPECT_EQ(spec.load_balancing().key_name(), "x-user");
  EXPECT_EQ(spec.load_balancing().slow_start_ms(), 10'000u);
  EXPECT_EQ(spec.concurrency().kind(), v1::Concurrency::FIXED);
  EXPECT_EQ(spec.concurrency().limit(), 4u);
  EXPECT_EQ(spec.queue().max(), 100u);
  EXPECT_EQ(spec.queue().timeout_ms(), 5'000u);
  EXPECT_EQ(spec.outliers().failures(), 3u);
  EXPECT_EQ(spec.outliers().ejection_ms(), 2'000u);
  EXPECT_EQ(spec.outliers().max_ejection_ms(), 20'000u);
  EXPECT_EQ(spec.outliers().max_percent(), 30u);
  EXPECT_EQ(spec.stop().signal(), "SIGINT");
  EXPECT_EQ(spec.stop().grace_ms(), 1'500u);
  EXPECT_EQ(spec.stop().drain_ms(), 0u);
  EXPECT_EQ(spec.resources().cpu_millis(), 500u);
  EXPECT_EQ(spec.resources().memory_bytes(), 512u << 20);
  EXPECT_EQ(spec.resources().max_cpu_millis(), 2'000u);
  EXPECT_EQ(spec.resources().max_memory_bytes(), 1u << 30);
  EXPECT_EQ(spec.resources().max_processes(), 200u);
  EXPECT_EQ(spec.resources().max_open_files(), 4'096u);
  EXPECT_EQ(spec.stop().drain_tunnels_ms(), 120'000u);
  EXPECT_EQ(spec.placement().labels().at("zone"), "a 1");
  EXPECT_EQ(spec.timeouts().connect_ms(), 250u);
  EXPECT_EQ(spec.timeouts().per_try_ms(), 5'000u);
  EXPECT_EQ(spec.timeouts().first_byte_ms(), 30'000u);
  EXPECT_EQ(spec.timeouts().total_ms(), 120'000u);
  EXPECT_EQ(spec.limits().body_bytes(), 10u << 20);
  EXPECT_THAT(spec.placement().constraints(), ElementsAre("zone!=b", "!gpu"));
  EXPECT_THAT(spec.placement().spread(), ElementsAre("rack"));
  EXPECT_EQ(spec.placement().max_per_node(), 2u);
  EXPECT_EQ(spec.restart().backoff_initial_ms(), 50u);
  EXPECT_EQ(spec.restart().backoff_max_ms(), 5'000u);
  EXPECT_EQ(spec.restart().reset_after_ms(), 60'000u);
  EXPECT_EQ(spec.metrics().path(), "/metrics?format=text");
  EXPECT_EQ(spec.strategy().max_surge().value(), 3u);
  EXPECT_FALSE(spec.strategy().max_surge().percent());
  EXPECT_EQ(spec.strategy().max_unavailable().value(), 20u);
  EXPECT_TRUE(spec.strategy().max_unavailable().percent());
  EXPECT_EQ(spec.strategy().min_ready_ms(), 2'000u);
  EXPECT_EQ(spec.strategy().progress_deadline_ms(), 60'000u);
  EXPECT_FALSE(spec.strategy().auto_rollback());
  EXPECT_EQ(spec.strategy().observe_ms(), 5'000u);
  EXPECT_THAT(spec.strategy().canary().steps(), ElementsAre(5, 50));
  EXPECT_EQ(spec.strategy().canary().interval_ms(), 120'000u);
  EXPECT_TRUE(spec.strategy().manual_gate());
  EXPECT_EQ(spec.strategy().evidence().min_requests(), 100u);
  EXPECT_EQ(spec.strategy().evidence().errors_percent(), 5u);
  EXPECT_EQ(spec.strategy().evidence().latency_percent(), 150u);
}

TEST(ParseTest, ProbesOfTheStartAndOfLifeHaveDefaultsOfTheirOwn) {
  const v1::AppSpec full = ParseApp(kFull);
  EXPECT_EQ(full.startup().kind(), v1::HealthCheck::EXEC);
  EXPECT_THAT(full.startup().command(), ElementsAre("bin/started", "--quiet"));
  EXPECT_EQ(full.startup().interval_ms(), 1'000u);
  EXPECT_EQ(full.startup().timeout_ms(), 3'000u);
  EXPECT_EQ(full.startup().healthy_threshold(), 2u);
  EXPECT_EQ(full.liveness().kind(), v1::HealthCheck::GRPC);
  EXPECT_EQ(full.liveness().service(), "acme.v1.Orders");
  EXPECT_EQ(full.liveness().interval_ms(), 10'000u);
  EXPECT_EQ(full.liveness().timeout_ms(), 2'000u);
  EXPECT_EQ(full.liveness().unhealthy_threshold(), 2u);

  const v1::AppSpec spec = ParseApp("name: a\ncommand: [x]\nliveness: {path: /live}\n");
  EXPECT_FALSE(spec.has_startup());
  EXPECT_EQ(spec.liveness().interval_ms(), 5'000u);
  EXPECT_EQ(spec.liveness().unhealthy_threshold(), 3u);
  EXPECT_THAT(spec.liveness().codes(), SizeIs(0));  // 200 to 399
  // A program has to be started first.
  EXPECT_EQ(ParseApp("name: a\ncommand: [x]\nhealth: {command: [y]}\n").health().timeout_ms(),
            2'000u);
}

TEST(ParseTest, AcceptsTheShortForms) {
  EXPECT_EQ(
      ParseApp("name: a\ncommand: [x]\nload_balancing: round_robin\n").load_balancing().policy(),
      v1::LoadBalancing::ROUND_ROBIN);
  const v1::AppSpec shell = ParseApp("name: a\ncommand: npm start | cat\nshell: true\n");
  EXPECT_TRUE(shell.shell());
  EXPECT_THAT(shell.command(), ElementsAre("npm start | cat"));
  EXPECT_EQ(ParseApp("name: a\ncommand: [x]\nhealth: {tcp: true}\n").health().kind(),
            v1::HealthCheck::TCP);
}

TEST(ParseTest, ResolvesDirectories) {
  const auto dir = [](const std::string& line, const ParseOptions& options) {
    const auto specs = ParseSpecs("name: a\ncommand: [x]\n" + line, options);
    return specs.ok() ? specs->apps[0].dir() : std::string(specs.status().message());
  };
  EXPECT_EQ(dir("", kOptions), "/home/me/conf");
  EXPECT_EQ(dir("dir: .\n", kOptions), "/home/me");
  EXPECT_EQ(dir("dir: ../you//x/\n", kOptions), "/home/you/x");
  EXPECT_EQ(dir("dir: /srv/app\n", kOptions), "/srv/app");
  EXPECT_EQ(dir("dir: ../../../../..\n", kOptions), "/");
  EXPECT_EQ(dir("", {}), "/");
}

TEST(ParseTest, ReadsSeveralDocuments) {
  const auto specs = ParseSpecs(
      "name: a\ncommand: [x]\n---\nkind: Gateway\nport: 9090\naddress: 127.0.0.1\n---\n# nothing\n"
      "---\nkind: App\nname: b\ncommand: [y]\n",
      kOptions);
  ASSERT_TRUE(specs.ok()) << specs.status();
  ASSERT_THAT(specs->apps, SizeIs(2));
  EXPECT_EQ(specs->apps[1].name(), "b");
  ASSERT_THAT(specs->gateways, SizeIs(1));
  EXPECT_EQ(specs->gateways[0].name(), "default");
  EXPECT_EQ(specs->gateways[0].address(), "127.0.0.1");
  EXPECT_EQ(specs->gateways[0].port(), 9090u);
}

TEST(ParseTest, AGatewaySaysWhatItTakesAndWhomItBelieves) {
  const auto specs = ParseSpecs(
      "kind: Gateway\n"
      "timeouts: {head: 5s, idle: 1m, stream_idle: 10m}\n"
      "limits: {request_line: 4Ki, head: 32Ki, fields: 100}\n"
      "proxy_protocol: true\n"
      "forwarded: {mode: append, trusted: [10.0.0.0/8, \"2001:db8::1\"], rfc7239: true, "
      "traces: pass}\n",
      kOptions);
  ASSERT_TRUE(specs.ok()) << specs.status();
  const v1::Gateway& gateway = specs->gateways[0];
  EXPECT_EQ(gateway.timeouts().head_ms(), 5'000u);
  EXPECT_EQ(gateway.timeouts().idle_ms(), 60'000u);
  EXPECT_EQ(gateway.timeouts().stream_idle_ms(), 600'000u);
  EXPECT_EQ(gateway.limits().request_line_bytes(), 4'096u);
  EXPECT_EQ(gateway.limits().head_bytes(), 32'768u);
  EXPECT_EQ(gateway.limits().fields(), 100u);
  EXPECT_TRUE(gateway.proxy_protocol());
  EXPECT_EQ(gateway.forwarded().mode(), v1::Forwarded::APPEND);
  EXPECT_THAT(gateway.forwarded().trusted(), ElementsAre("10.0.0.0/8", "2001:db8::1"));
  EXPECT_TRUE(gateway.forwarded().rfc7239());
  EXPECT_TRUE(gateway.forwarded().pass_traces_only());
}

TEST(ParseTest, AGatewayHasDefaults) {
  const auto specs = ParseSpecs("kind: Gateway\nname: edge\n", kOptions);
  ASSERT_TRUE(specs.ok()) << specs.status();
  EXPECT_EQ(specs->gateways[0].name(), "edge");
  EXPECT_EQ(specs->gateways[0].address(), "0.0.0.0");
  EXPECT_EQ(specs->gateways[0].port(), 8080u);
  EXPECT_FALSE(specs->gateways[0].has_tls());
}

TEST(ParseTest, AnAddressHasOneSpelling) {
  const auto address = [](const std::string& written) {
    const auto specs = ParseSpecs("kind: Gateway\naddress: '" + written + "'\n", kOptions);
    return specs.ok() ? specs->gateways[0].address() : std::string(specs.status().message());
  };
  EXPECT_EQ(address("127.0.0.1"), "127.0.0.1");
  EXPECT_EQ(address("0:0:0:0:0:0:0:0"), "::");
  EXPECT_EQ(address("FD00:0::01"), "fd00::1");
}

TEST(ParseTest, AGatewayMaySpeakHttps) {
  const auto specs = ParseSpecs(
      "kind: Gateway\n"
      "tls:\n"
      "  certificates:\n"
      "    - {cert: /etc/tls/a.pem, key: /etc/tls/a.key}\n"
      "    - {cert: /etc/tls/b.pem, key: /etc/tls/b.key}\n"
      "  min_version: 1.3\n"
      "  redirect: {from: 80, to: 443}\n"
      "---\n"
      "kind: Gateway\n"
      "name: short\n"
      "port: 9443\n"
      "tls: {certificates: [{cert: /a, key: /b}], redirect: 80}\n",
      kOptions);
  ASSERT_TRUE(specs.ok()) << specs.status();
  const v1::Gateway& full = specs->gateways[0];
  EXPECT_EQ(full.port(), 8443u);
  ASSERT_THAT(full.tls().certificates(), SizeIs(2));
  EXPECT_EQ(full.tls().certificates(1).cert(), "/etc/tls/b.pem");
  EXPECT_EQ(full.tls().certificates(1).key(), "/etc/tls/b.key");
  EXPECT_EQ(full.tls().min_version(), v1::GatewayTls::TLS_1_3);
  EXPECT_EQ(full.tls().redirect().from(), 80u);
  EXPECT_EQ(full.tls().redirect().to(), 443u);
  const v1::GatewayTls& brief = specs->gateways[1].tls();
  EXPECT_EQ(brief.min_version(), v1::GatewayTls::TLS_1_2);
  EXPECT_EQ(brief.redirect().from(), 80u);
  EXPECT_EQ(brief.redirect().to(), 9443u);
}

TEST(ParseTest, AnchorsAndAliasesWork) {
  const v1::AppSpec spec = ParseApp(
      "name: &n web\ncommand: [&c run, *c, *n]\nenv: &e {A: *n}\nplacement: {labels: *e}\n");
  EXPECT_THAT(spec.command(), ElementsAre("run", "run", "web"));
  EXPECT_EQ(spec.placement().labels().at("A"), "web");
}

// `want` is without the file name.
struct BadCase {
  std::string yaml;
  std::string want;
};

TEST(ParseTest, NamesFieldLineValueAndWhatIsAllowed) {
  const std::string duration = "(allowed: 10ms to 1h, for example 500ms)";
  const BadCase cases[] = {
      {"helth: {}", "3: unknown key helth (did you mean health?)"},
      {"replcas: 3", "3: unknown key replcas (did you mean replicas?)"},
      {"qqqqq: 3",
       "3: unknown key qqqqq (allowed: kind, name, command, shell, dir, env, env_files, port, "
       "replicas, health, startup, liveness, "
       "route, load_balancing, concurrency, queue, outliers, stop, resources, isolation, "
       "placement, timeouts, "
       "limits, restart, "
       "source, metrics, strategy)"},
      {"\"a b\": 3",
       "3: unknown key \"a b\" (allowed: kind, name, command, shell, dir, env, env_files, port, "
       "replicas, health, startup, liveness, "
       "route, load_balancing, concurrency, queue, outliers, stop, resources, isolation, "
       "placement, timeouts, "
       "limits, restart, "
       "source, metrics, strategy)"},
      {"<<: {dir: x}",
       "3: unknown key \"<<\" (allowed: kind, name, command, shell, dir, env, env_files, port, "
       "replicas, health, startup, liveness, "
       "route, load_balancing, concurrency, queue, outliers, stop, resources, isolation, "
       "placement, timeouts, "
       "limits, restart, "
       "source, metrics, strategy)"},
      {"health:\n  intervall: 1s", "4: health: unknown key intervall (did you mean interval?)"},
      {"health: {interval: 1x}", "3: health.interval: \"1x\" is not a duration " + duration},
      {"health: {interval: 5}", "3: health.interval: \"5\" has no unit " + duration},
      {"health: {interval: 1ms}", "3: health.interval: \"1ms\" is out of range " + duration},
      {"health: {interval: 2h}", "3: health.interval: \"2h\" is out of range " + duration},
      {"health: {interval: [1s]}", "3: health.interval: must be a duration, is a list " + duration},
      {"health:\n  interval:", "4: health.interval: must be a duration, is nothing " + duration},
      {"health: {timeout: 61s}",
       "3: health.timeout: \"61s\" is out of range (allowed: 10ms to 1m, for example 500ms)"},
      {"health: {healthy: 0}", "3: health.healthy: \"0\" is out of range (allowed: 1 to 100)"},
      {"health: {startup: 0s}",
       "3: health.startup: \"0s\" is out of range (allowed: 100ms to 1h, for example 500ms)"},
      {"health: {path: healthz}",
       "3: health.path: \"healthz\" is not a path to probe (allowed: it begins with /, for example "
       "/healthz; no blanks)"},
      {"health: {path: /x, tcp: true}",
       "3: health: has path and tcp (choose one: path asks over HTTP, tcp only connects, command "
       "runs a program, grpc asks grpc.health.v1.Health)"},
      {"health: {tcp: false}",
       "3: health: tcp: false needs a path, command or grpc to ask instead"},
      {"health: {path: /, codes: 99}",
       "3: health.codes: \"99\" is not a status (allowed: 100 to 599, or a range like 200-299)"},
      {"health: {path: /, codes: [200, 299-200]}",
       "3: health.codes[1]: \"299-200\" is not a status (allowed: 100 to 599, or a range like "
       "200-299)"},
      {"health: {path: /, codes: [200-600]}",
       "3: health.codes[0]: \"200-600\" is not a status (allowed: 100 to 599, or a range like "
       "200-299)"},
      {"health: {codes: 200}", "3: health.codes: is for probes over HTTP (add a path)"},
      {"health: {grpc: true, headers: {A: b}}",
       "3: health.headers: is for probes over HTTP (add a path)"},
      {"health: {command: [x], host: a}", "3: health.host: is for probes over HTTP (add a path)"},
      {"health: {path: /, service: a}",
       "3: health.service: is for probes over gRPC (add grpc: true)"},
      {"health: {path: /, headers: {Host: a}}",
       "3: health.headers.Host: is set by the probe itself (the Host field is set by host)"},
      {"health: {path: /, headers: {\"a b\": c}}",
       "3: health.headers.\"a b\": \"a b\" is not the name of a header field (allowed: for example "
       "Authorization)"},
      {"health: {path: /, headers: {A: \"b\\r\\nC: d\"}}",
       "3: health.headers.A: \"b\\r\\nC: d\" is not the value of a header field (allowed: up to "
       "1000 "
       "printable ASCII characters)"},
      {"health: {path: /, host: \"a b\"}",
       "3: health.host: \"a b\" is not a host to ask for (allowed: for example www.example.com or "
       "localhost:3000)"},
      {"health: {grpc: true, service: \"a b\"}",
       "3: health.service: \"a b\" is not a service (allowed: for example acme.v1.Orders, or \"\" "
       "for the server as a whole)"},
      {"health: {command: curl}", "3: health.command: must be a list, is a text"},
      {"health: {command: [\"\"]}", "3: health.command: the program to start is \"\""},
      {"liveness: {interval: 1s}",
       "3: liveness: does not say what to ask (needed: path, tcp, command or grpc)"},
      {"startup: {}", "3: startup: does not say what to ask (needed: path, tcp, command or grpc)"},
      {"startup: 30s", "3: startup: must be a map, is a text"},
      {"startup: {tcp: true, unhealthy: 3}",
       "3: startup: unknown key unhealthy (did you mean healthy?)"},
      {"liveness: {tcp: true, startup: 3s}",
       "3: liveness: unknown key startup (allowed: path, codes, headers, host, tcp, command, grpc, "
       "service, interval, timeout, unhealthy)"},
      {"health: {tcp: yes}", "3: health.tcp: \"yes\" is not a truth value (allowed: true, false)"},
      {"health: {tcp: \"true\"}", "3: health.tcp: must be true or false, is a quoted text"},
      {"health: /healthz", "3: health: must be a map, is a text"},
      {"health:", "3: health: must be a map, is nothing"},
      {"strategy: {max_surge: 0}",
       "3: strategy: max_surge and max_unavailable are both 0, so nothing could be replaced (raise "
       "one)"},
      {"strategy: {max_surge: 101%}",
       "3: strategy.max_surge: \"101%\" is neither a number of instances nor a share (allowed: 0 "
       "to 10000, or 0% to 100%)"},
      {"strategy: {max_unavailable: -1}",
       "3: strategy.max_unavailable: \"-1\" is neither a number of instances nor a share (allowed: "
       "0 to 10000, or 0% to 100%)"},
      {"strategy: {progress_deadline: 10ms}",
       "3: strategy.progress_deadline: \"10ms\" is out of range (allowed: 1s to 24h, for example "
       "500ms)"},
      {"strategy: {auto_rollback: no}",
       "3: strategy.auto_rollback: \"no\" is not a truth value (allowed: true, false)"},
      {"strategy: {canary: {}}",
       "3: strategy.canary.steps: is missing (needed: shares, for example [5%, 25%, 50%])"},
      {"strategy: {canary: {steps: [50%, 50%]}}",
       "3: strategy.canary.steps[1]: is not more than the step before it"},
      {"strategy: {canary: {steps: [0%]}}",
       "3: strategy.canary.steps[0]: \"0%\" is not a share (allowed: 1% to 99%)"},
      {"strategy: {canary: {steps: [5]}}",
       "3: strategy.canary.steps[0]: \"5\" is not a share (allowed: 1% to 99%)"},
      {"strategy: {canary: {steps: [5%]}, blue_green: true}",
       "3: strategy: has both canary and blue_green (choose one)"},
      {"strategy: {gate: open}", "3: strategy.gate: \"open\" is not known (allowed: auto, manual)"},
      {"strategy: {gate: manual}",
       "3: strategy: gate: manual needs steps that end (add canary or blue_green)"},
      {"strategy: {evidence: {errors: 1}}",
       "3: strategy.evidence.errors: \"1\" is not a share (allowed: 0% to 100%)"},
      {"port: 8080", "3: port: must be a map, is a text"},
      {"port: {}",
       "3: port.fixed: is missing (needed: the port the app has in its code, for example 8080)"},
      {"port: {fixed: 0}", "3: port.fixed: \"0\" is out of range (allowed: 1 to 65535)"},
      {"port: {fixed: 80, via: magic}", "3: port: unknown key via (allowed: fixed)"},
      {"replicas: 10001", "3: replicas: \"10001\" is out of range (allowed: 0 to 10000)"},
      {"replicas: 99999999999999999999",
       "3: replicas: \"99999999999999999999\" is out of range (allowed: 0 to 10000)"},
      {"replicas: -1", "3: replicas: \"-1\" is not a whole number (allowed: 0 to 10000)"},
      {"replicas: 1.5", "3: replicas: \"1.5\" is not a whole number (allowed: 0 to 10000)"},
      {"replicas: 0x10", "3: replicas: \"0x10\" is not a whole number (allowed: 0 to 10000)"},
      {"replicas: many", "3: replicas: \"many\" is not a whole number (allowed: 0 to 10000)"},
      {"replicas: \"4\"",
       "3: replicas: must be a whole number, is a quoted text (allowed: 0 to 10000)"},
      {"replicas: {}", "3: replicas: must be a whole number, is a map (allowed: 0 to 10000)"},
      {"dir: \"\"", "3: dir: \"\" is not a directory"},
      {"dir: [a]", "3: dir: must be a text, is a list"},
      {"shell: 1", "3: shell: \"1\" is not a truth value (allowed: true, false)"},
      {"env: {PORT: 80}",
       "3: env.PORT: is reserved: every instance gets its own value from the agent"},
      {"env: {PANDO_NODE: a}",
       "3: env.PANDO_NODE: is reserved: every instance gets its own value from the agent"},
      {"env: {NODE_APP_INSTANCE: a}",
       "3: env.NODE_APP_INSTANCE: is reserved: every instance gets its own value from the agent"},
      {"env: {1A: x}",
       "3: env.1A: \"1A\" is not the name of a variable (allowed: A-Z, a-z, 0-9 and _, the first "
       "one no digit)"},
      {"env: {\"A=B\": x}",
       "3: env.\"A=B\": \"A=B\" is not the name of a variable (allowed: A-Z, a-z, 0-9 and _, the "
       "first one no digit)"},
      {"env:\n  A: x\n  B:", "5: env.B: has no value (write \"\" for an empty one)"},
      {"env: {A: [x]}", "3: env.A: must be a text, is a list"},
      {"env: [A]", "3: env: must be a map, is a list"},
      {"env: {[A]: x}", "3: env: a key must be a text"},
      {"env:\n  A: 1\n  A: 2", "5: env.A: is written twice (first on line 4)"},
      {"name: other", "3: name: is written twice (first on line 1)"},
      {"route: {hosts: []}", "3: route.hosts: has 0 items (allowed: 1 to 1000)"},
      {"route: {hosts: a.com}", "3: route.hosts: must be a list, is a text"},
      {"route: {hosts: [a.com, \"a.com:80\"]}",
       "3: route.hosts[1]: \"a.com:80\" is not a host (allowed: \"*\", an exact name like "
       "www.example.com, or \"*.example.com\"; without a port)"},
      {"route: {hosts: [\"*.*.com\"]}",
       "3: route.hosts[0]: \"*.*.com\" is not a host (allowed: \"*\", an exact name like "
       "www.example.com, or \"*.example.com\"; without a port)"},
      {"route: {hosts: [-a.com]}",
       "3: route.hosts[0]: \"-a.com\" is not a host (allowed: \"*\", an exact name like "
       "www.example.com, or \"*.example.com\"; without a port)"},
      {"route:\n  hosts:\n    - a.com\n    - A.com", "6: route.hosts[1]: \"a.com\" is there twice"},
      {"route: {path: api}",
       "3: route.path: \"api\" is not a path to route by (allowed: it begins with /, for example "
       "/api; no query, no blanks, no . or .. in it)"},
      {"route: {path: /a/../b}",
       "3: route.path: \"/a/../b\" is not a path to route by (allowed: it begins with /, for "
       "example /api; no query, no blanks, no . or .. in it)"},
      {"load_balancing: roundrobin",
       "3: load_balancing: \"roundrobin\" is not known, did you mean round_robin? (allowed: "
       "least_request, round_robin, random, peak_ewma, ring_hash, maglev, sticky)"},
      {"load_balancing: {policy: best}",
       "3: load_balancing.policy: \"best\" is not known (allowed: least_request, round_robin, "
       "random, peak_ewma, ring_hash, maglev, sticky)"},
      {"load_balancing: ring_hash",
       "3: load_balancing.key: is missing (needed: what belongs together: header:NAME, "
       "cookie:NAME or source)"},
      {"load_balancing: {policy: maglev, key: query}",
       "3: load_balancing.key: \"query\" is not a key (allowed: header:NAME, cookie:NAME, source)"},
      {"load_balancing: {policy: sticky, key: source}",
       "3: load_balancing: sticky goes by a cookie (allowed: key: cookie:NAME)"},
      {"load_balancing: {key: source}",
       "3: load_balancing: only ring_hash, maglev and sticky have a key"},
      {"concurrency: 0",
       "3: concurrency: \"0\" is not a limit (allowed: auto, unlimited, or 1 to 100000)"},
      {"queue: {timeout: 0s}",
       "3: queue.timeout: \"0s\" is out of range (allowed: 1ms to 1h, for example 500ms)"},
      {"outliers: {ejection: 10s, max_ejection: 5s}",
       "3: outliers: max_ejection is shorter than ejection"},
      {"outliers: on", "3: outliers: \"on\" is not known (allowed: off)"},
      {"stop: {signal: TERM}",
       "3: stop.signal: \"TERM\" is not known (allowed: SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, "
       "SIGUSR2, SIGKILL)"},
      {"stop: {signal: SIGTREM}",
       "3: stop.signal: \"SIGTREM\" is not known, did you mean SIGTERM? (allowed: SIGTERM, SIGINT, "
       "SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGKILL)"},
      {"stop: {grace: 0}",
       "3: stop.grace: \"0\" has no unit (allowed: 0s to 24h, for example 500ms)"},
      {"resources: {cpu: much}",
       "3: resources.cpu: \"much\" is not a number of processors (allowed: 1m to 1024, for example "
       "0.5 or 500m)"},
      {"resources: {cpu: 0}",
       "3: resources.cpu: \"0\" is out of range (allowed: 1m to 1024, for example 0.5 or 500m)"},
      {"resources: {memory: 512}",
       "3: resources.memory: \"512\" has no unit (allowed: 1Mi to 16Ti, for example 512Mi or 1G)"},
      {"resources: {memory: 512m}",
       "3: resources.memory: \"512m\" is not a size (allowed: 1Mi to 16Ti, for example 512Mi or "
       "1G)"},
      {"resources: {max_cpu: 5m}",
       "3: resources.max_cpu: \"5m\" is out of range (allowed: 10m to 1024, for example 0.5 or "
       "500m)"},
      {"resources: {max_memory: 1Mi}",
       "3: resources.max_memory: \"1Mi\" is out of range (allowed: 4Mi to 16Ti, for example 512Mi "
       "or 1G)"},
      {"resources: {memory: 1Gi, max_memory: 512Mi}",
       "3: resources: max_memory is less than memory"},
      {"resources: {cpu: 2, max_cpu: 1}", "3: resources: max_cpu is less than cpu"},
      {"resources: {max_processes: 0}",
       "3: resources.max_processes: \"0\" is out of range (allowed: 1 to 4194304)"},
      {"resources: {max_open_files: 4}",
       "3: resources.max_open_files: \"4\" is out of range (allowed: 16 to 1048576)"},
      {"resources: {max_memry: 1Gi}",
       "3: resources: unknown key max_memry (did you mean max_memory?)"},
      {"isolation: {user: \"a b\"}",
       "3: isolation.user: \"a b\" is not a user or group (allowed: a name like www-data, or a "
       "number)"},
      {"isolation: {group: 4294967295}",
       "3: isolation.group: \"4294967295\" is not a user or group (allowed: a name like www-data, "
       "or a number)"},
      {"isolation: {private_tmp: 1}",
       "3: isolation.private_tmp: \"1\" is not a truth value (allowed: true, false)"},
      {"isolation: {read_only: [etc]}",
       "3: isolation.read_only[0]: \"etc\" is not a path (allowed: an absolute one on the nodes, "
       "for example /etc)"},
      {"isolation: {read_only: /etc}", "3: isolation.read_only: must be a list, is a text"},
      {"isolation: {usr: www-data}", "3: isolation: unknown key usr (did you mean user?)"},
      {"env_files: .env", "3: env_files: must be a list, is a text"},
      {"env_files: [\"\"]",
       "3: env_files[0]: \"\" is not a file (allowed: a path on the nodes, relative to dir, for "
       "example .env)"},
      {"placement: {labels: {a: [b]}}", "3: placement.labels.a: must be a text, is a list"},
      {"placement: {lables: {a: b}}", "3: placement: unknown key lables (did you mean labels?)"},
      {"placement: {constraints: [zone=]}",
       "3: placement.constraints[0]: \"zone=\" has an empty value (allowed: disk=ssd, zone=a|b, "
       "zone!=c, gpu or !gpu)"},
      {"placement: {spread: [host, zone]}",
       "3: placement.spread[1]: comes after host (allowed: labels from wide to narrow, then host)"},
      {"placement: {spread: [zone, zone]}", "3: placement.spread[1]: \"zone\" is there twice"},
      {"placement: {labels: {\"\": b}}",
       "3: placement.labels.\"\": \"\" is not the name of a label (allowed: 1 to 63 of A-Z, a-z, "
       "0-9, _, -, . and /, the first one a letter or digit)"},
      {"restart: {backoff: 10s, max_backoff: 1s}",
       "3: restart: max_backoff is shorter than backoff"},
      {"timeouts: {per_try: 2s, first_byte: 2s}",
       "3: timeouts: per_try is not shorter than first_byte"},
      {"timeouts: {per_try: 2s, total: 1s}", "3: timeouts: per_try is not shorter than total"},
      {"metrics: {path: metrics}",
       "3: metrics.path: \"metrics\" is not a path for Prometheus (allowed: it begins with /, for "
       "example /metrics; no blanks)"},
      {"metrics: {}",
       "3: metrics.path: is missing (needed: where Prometheus asks, for example /metrics)"},
      {"kind: Application", "3: kind: \"Application\" is not known (allowed: App, Gateway)"},
      {"env: !!binary aGk=",
       "3: not valid YAML: tags are not used here: \"tag:yaml.org,2002:binary\""},
      {"env: {A: \"a\\0b\"}", "3: not valid YAML: a text must not hold a NUL character"},
      {"env: {A: \"\xff\"}", "3: not valid YAML: this text is not UTF-8"},
      {"env: &e {A: *e}", "3: not valid YAML: an alias inside its own anchor"},
  };
  for (const BadCase& c : cases) {
    SCOPED_TRACE(c.yaml);
    EXPECT_EQ(Complaints("name: web\ncommand: [run]\n" + c.yaml + "\n"), "app.yaml:" + c.want);
  }
}

TEST(ParseTest, ChecksWholeDocuments) {
  const BadCase cases[] = {
      {"", "1: the file is empty (an app needs at least name and command)"},
      {"# only a comment\n---\n", "1: the file is empty (an app needs at least name and command)"},
      {"command: [x]\n", "1: name: is missing (needed: a name for the app, for example web)"},
      {"\nname: a\n", "2: command: is missing (needed: a list, for example [node, server.js])"},
      {"name: a\ncommand: node server.js\n",
       "2: command: \"node server.js\" is one text (allowed: a list, for example [node, "
       "server.js]; or add shell: true)"},
      {"name: a\ncommand: []\n", "2: command: has 0 items (allowed: 1 to 1000)"},
      {"name: a\ncommand: [\"\"]\n", "2: command: the program to start is \"\""},
      {"name: a\ncommand: [a, [b]]\n", "2: command[1]: must be a text, is a list"},
      {"name: a\ncommand: {a: b}\n", "2: command: must be a list, is a map"},
      {"name: A\ncommand: [x]\n",
       "1: name: \"A\" is not a name (allowed: 1 to 40 of a-z, 0-9 and -, the first one a letter, "
       "for example web-api)"},
      {"name: a.b\ncommand: [x]\n",
       "1: name: \"a.b\" is not a name (allowed: 1 to 40 of a-z, 0-9 and -, the first one a "
       "letter, for example web-api)"},
      {"- name: a\n", "1: a document must be a map with at least name and command"},
      {"web\n", "1: a document must be a map with at least name and command"},
      {"name: a\ncommand: [x]\n---\nname: a\ncommand: [x]\n",
       "4: name: \"a\" is taken (by the document of line 1)"},
      {"kind: Gateway\nport: 0\n", "2: port: \"0\" is out of range (allowed: 1 to 65535)"},
      {"kind: Gateway\nport: http\n",
       "2: port: \"http\" is not a whole number (allowed: 1 to 65535)"},
      {"kind: Gateway\naddress: localhost\n",
       "2: address: \"localhost\" is not an address (allowed: a numeric one, for example 0.0.0.0, "
       "127.0.0.1 or ::)"},
      {"kind: Gateway\naddress: ''\n",
       "2: address: \"\" is not an address (allowed: a numeric one, for example 0.0.0.0, 127.0.0.1 "
       "or ::)"},
      {"kind: Gateway\naddress: '::ffff:127.0.0.1'\n",
       "2: address: \"::ffff:127.0.0.1\" is not an address (allowed: a numeric one, for example "
       "0.0.0.0, 127.0.0.1 or ::)"},
      {"kind: Gateway\nadress: 127.0.0.1\n", "2: unknown key adress (did you mean address?)"},
      {"kind: Gateway\ncommand: [x]\n",
       "2: unknown key command (allowed: kind, name, address, port, tls, timeouts, limits, "
       "proxy_protocol, forwarded)"},
      {"kind: Gateway\ntls: {}\n",
       "2: tls.certificates: is missing (needed: a list, for example [{cert: /etc/tls/a.pem, key: "
       "/etc/tls/a.key}])"},
      {"kind: Gateway\ntls: {certificates: [{cert: a.pem, key: /a.key}]}\n",
       "2: tls.certificates[0].cert: \"a.pem\" is not a path (allowed: an absolute one on the "
       "proxies' hosts, for example /etc/tls/a.pem)"},
      {"kind: Gateway\ntls: {certificates: [{cert: /a.pem}]}\n",
       "2: tls.certificates[0].key: is missing (needed: a PEM file: the certificate's private "
       "key)"},
      {"kind: Gateway\ntls: {certificates: [{cert: /a, key: /b}], min_version: 1.1}\n",
       "2: tls.min_version: \"1.1\" is not a version of TLS (allowed: 1.2, 1.3)"},
      {"kind: Gateway\ntls: {certificates: [{cert: /a, key: /b}], redirect: 0}\n",
       "2: tls.redirect: \"0\" is out of range (allowed: 1 to 65535)"},
      {"kind: Gateway\ntls: {certificates: [{cert: /a, key: /b}], redirect: {to: 443}}\n",
       "2: tls.redirect.from: is missing (needed: the port of plain HTTP, for example 80)"},
      {"kind: Gateway\nport: 80\ntls: {certificates: [{cert: /a, key: /b}], redirect: 80}\n",
       "1: tls.redirect: 80 is the port of the gateway itself (choose another)"},
      {"kind: Gateway\nlimits: {head: 1500B}\n",
       "2: limits.head: 1500 bytes are not whole KiB (allowed: 1Ki to 8Mi)"},
      {"kind: Gateway\nforwarded: {trusted: [10.0.0.1/8]}\n",
       "2: forwarded.trusted[0]: \"10.0.0.1/8\" is not a range of addresses (allowed: 10.0.0.0/8, "
       "2001:db8::/32 or one address, without bits behind the prefix)"},
      {"kind: Gateway\nforwarded: {mode: keep}\n",
       "2: forwarded.mode: \"keep\" is not known (allowed: replace, append)"},
      {"kind: Gateway\n---\nkind: Gateway\n",
       "3: name: \"default\" is taken (by the document of line 1)"},
  };
  for (const BadCase& c : cases) {
    SCOPED_TRACE(c.yaml);
    EXPECT_EQ(Complaints(c.yaml), "app.yaml:" + c.want);
  }
}

TEST(ParseTest, SaysWhereTheYamlIsBroken) {
  EXPECT_THAT(Complaints("name: a\ncommand: [x\nreplicas: 2\n"), HasSubstr("not valid YAML: "));
  EXPECT_THAT(Complaints("name: a\n\tcommand: x\n"), HasSubstr("app.yaml:2: not valid YAML: "));
  EXPECT_THAT(Complaints("name: a\n...\n,--\n"),
              HasSubstr("app.yaml:3: not valid YAML: no document begins so"));
  EXPECT_THAT(Complaints("name: *nobody\n"), HasSubstr("app.yaml:1: not valid YAML: "));
}

TEST(ParseTest, TellsAllMistakesByLine) {
  EXPECT_EQ(Complaints("replicas: x\nhealth: {interval: 1, path: y}\nnme: a\ncommand: run\n"),
            "app.yaml:1: replicas: \"x\" is not a whole number (allowed: 0 to 10000)\n"
            "app.yaml:1: name: is missing (needed: a name for the app, for example web)\n"
            "app.yaml:2: health.interval: \"1\" has no unit (allowed: 10ms to 1h, for example "
            "500ms)\n"
            "app.yaml:2: health.path: \"y\" is not a path to probe (allowed: it begins with /, for "
            "example /healthz; no blanks)\n"
            "app.yaml:3: unknown key nme (did you mean name?)\n"
            "app.yaml:4: command: \"run\" is one text (allowed: a list, for example [node, "
            "server.js]; or add shell: true)");
}

TEST(ParseTest, TellsTwentyMistakesAndHowManyMore) {
  std::string yaml = "name: a\ncommand: [x]\nenv:\n";
  for (int i = 0; i < 30; ++i) absl::StrAppend(&yaml, "  ", i, ": x\n");
  const std::vector<std::string> lines = absl::StrSplit(Complaints(yaml), '\n');
  ASSERT_THAT(lines, SizeIs(21));
  EXPECT_THAT(lines[0], HasSubstr("app.yaml:4: env.0: "));
  EXPECT_THAT(lines[19], HasSubstr("app.yaml:23: env.19: "));
  EXPECT_EQ(lines[20], "app.yaml: and 10 more mistakes");
}

TEST(ParseTest, CutsLongValuesInMessages) {
  const std::string message = Complaints("name: " + std::string(500, 'X') + "\ncommand: [x]\n");
  EXPECT_THAT(message, HasSubstr("\"" + std::string(60, 'X') + "...\" is not a name"));
}

TEST(ParseTest, BoundsWhatItReads) {
  const std::string app = "name: a\ncommand: [x]\n";
  EXPECT_EQ(Complaints(app + "# " + std::string(1 << 20, 'x')),
            "app.yaml:1: the file is larger than 1048576 bytes");
  EXPECT_EQ(Complaints(app + "env: " + std::string(100'000, '[')),
            "app.yaml:3: not valid YAML: more than 20 levels deep");
  EXPECT_THAT(Complaints(app + "env: " + std::string(100'000, '{')), HasSubstr("not valid YAML: "));
  std::string nested = "a:\n";
  for (int i = 1; i < 500; ++i) absl::StrAppend(&nested, std::string(i, ' '), "a:\n");
  EXPECT_THAT(Complaints(nested), HasSubstr("more than 20 levels deep"));
  EXPECT_THAT(Complaints(std::string(50'000, '-')), HasSubstr("app.yaml:1: "));

  std::string documents;
  for (int i = 0; i < 1'002; ++i)
    absl::StrAppend(&documents, "---\nname: a", i, "\ncommand: [x]\n");
  EXPECT_EQ(Complaints(documents), "app.yaml:3002: more than 1000 documents");

  std::string env = app + "env:\n";
  for (int i = 0; i < 1'001; ++i) absl::StrAppend(&env, "  K", i, ": x\n");
  EXPECT_EQ(Complaints(env), "app.yaml:3: env: has 1001 keys (allowed: up to 1000)");
}

TEST(ParseTest, AliasesDoNotMultiply) {
  // Nine levels of nine: expanded, it would be half a billion texts.
  std::string bomb = "name: a\ncommand: [x]\nenv:\n  A: &a [x, x, x, x, x, x, x, x, x]\n";
  for (char level = 'b'; level <= 'i'; ++level) {
    const std::string alias(1, static_cast<char>(level - 1));
    absl::StrAppend(&bomb, "  ", std::string(1, level), ": &", std::string(1, level), " [");
    for (int i = 0; i < 9; ++i) absl::StrAppend(&bomb, i == 0 ? "*" : ", *", alias);
    absl::StrAppend(&bomb, "]\n");
  }
  const auto start = std::chrono::steady_clock::now();
  EXPECT_THAT(Complaints(bomb), HasSubstr("env.A: must be a text, is a list"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));

  std::string large = "name: a\ncommand: [&x \"" + std::string(10'000, 'x') + "\"";
  for (int i = 0; i < 100; ++i) large += ", *x";
  EXPECT_EQ(Complaints(large + "]\n"),
            "app.yaml:1: command and env together are larger than 262144 bytes");
}

TEST(ToYamlTest, ReadsBackToTheSameMessage) {
  const std::string cases[] = {
      kFull,
      "name: a\ncommand: [x]\n",
      "name: \"null\"\ncommand: [\"~\", \"true\", \"\", \"a b\", \"'\\\"\\\\\", \"- x: {\"]\n",
      "name: a\ncommand: echo $HOME | cat\nshell: true\nreplicas: 0\n",
      "name: a\ncommand: [x]\nenv: {A: \"\\x01\\t\\n\\e é 日本 🌳\", B: \"null\", on: \"no\"}\n",
      "name: a\ncommand: [x]\nresources: {cpu: 1500m, memory: 1048577B}\n",
      "name: a\ncommand: [x]\nresources: {cpu: 2}\n",
      "name: a\ncommand: [x]\nresources: {max_memory: 100M}\n",
      "name: a\ncommand: [x]\nisolation: {user: 1000}\nenv_files: [\"a b\"]\n",
      "name: a\ncommand: [x]\nhealth: {grpc: true}\nstartup: {tcp: true}\n"
      "liveness: {command: [\"\\\"\", \"\"]}\n",
  };
  for (const std::string& yaml : cases) {
    SCOPED_TRACE(yaml);
    const v1::AppSpec spec = ParseApp(yaml);
    const std::string written = ToYaml(spec);
    SCOPED_TRACE(written);
    EXPECT_TRUE(MessageDifferencer::Equals(ParseApp(written), spec));
  }
}

TEST(ToYamlTest, IsWhatAPersonWouldWrite) {
  EXPECT_EQ(ToYaml(ParseApp("name: web\ncommand: [node, server.js]\nreplicas: 2\n")),
            R"(name: web
command: ["node", "server.js"]
dir: "/home/me/conf"
replicas: 2
health:
  tcp: true
  interval: 1s
  timeout: 500ms
  healthy: 1
  unhealthy: 3
  startup: 30s
route:
  hosts: ["*"]
  path: "/"
load_balancing:
  policy: least_request
stop:
  signal: SIGTERM
  grace: 10s
  drain: 30s
  drain_tunnels: 5m
placement:
  spread: ["zone", "host"]
timeouts:
  connect: 1s
restart:
  backoff: 100ms
  max_backoff: 30s
  reset_after: 10s
strategy:
  max_surge: 25%
  max_unavailable: 0
  min_ready: 0s
  progress_deadline: 10m
  auto_rollback: true
  observe: 2s
  evidence:
    min_requests: 20
    errors: 1%
    latency: 200%
)");
}

TEST(ExamplesTest, AllExamplesParse) {
  namespace fs = std::filesystem;
  size_t parsed = 0;
  for (const auto& entry : fs::recursive_directory_iterator(PANDO_EXAMPLES_DIR)) {
    if (entry.path().extension() != ".yaml") continue;
    SCOPED_TRACE(entry.path());
    std::ifstream in(entry.path());
    std::string yaml{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    // As ctl names a directory that it has packed.
    const std::string digest(64, 'a');
    yaml = std::regex_replace(yaml, std::regex("(\\nsource: \\S+)"), "$1@sha256:" + digest);
    const auto specs = ParseSpecs(yaml, kOptions);
    EXPECT_TRUE(specs.ok()) << specs.status();
    ++parsed;
  }
  EXPECT_GE(parsed, 3u);
}

}  // namespace
}  // namespace pando::controller
