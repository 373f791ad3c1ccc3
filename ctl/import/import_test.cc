// What is imported is what controller/spec takes: every case goes through its parser.
#include "ctl/import/import.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "controller/spec/parse.h"
#include "ctl/import/draft.h"
#include "ctl/import/node_script.h"
#include "ctl/import/probe_url.h"
#include "ctl/import/words.h"
#include "ctl/run.h"

namespace pando::ctl {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

enum class From { kProcfile, kCompose, kPm2 };

absl::StatusOr<Import> ImportText(From from, const std::string& text,
                                  const std::string& environment = "") {
  const Variables variables = [](const std::string& name) -> std::optional<std::string> {
    if (name == "TAG") return "v2";
    if (name == "EMPTY") return "";
    return std::nullopt;
  };
  switch (from) {
    case From::kProcfile:
      return ImportProcfile({"Procfile", "/srv/app", text});
    case From::kCompose:
      return ImportCompose({"compose.yaml", "/srv/app", text}, variables);
    case From::kPm2:
      return ImportPm2({"ecosystem.json", "/srv/app", text}, environment);
  }
  return absl::InternalError("not an enumerator");
}

// What the controller makes of what is imported, without what it fills in by itself.
std::vector<v1::AppSpec> Specs(const Import& import) {
  const std::string yaml = ToYaml(import, "x");
  const auto parsed = controller::ParseSpecs(yaml, {"app.yaml", "/", "/srv/app"});
  EXPECT_TRUE(parsed.ok()) << parsed.status() << "\n" << yaml;
  return parsed.ok() ? parsed->apps : std::vector<v1::AppSpec>();
}

v1::AppSpec SpecOf(From from, const std::string& text) {
  const auto import = ImportText(from, text);
  EXPECT_TRUE(import.ok()) << import.status() << "\n" << text;
  if (!import.ok()) return {};
  const auto specs = Specs(*import);
  EXPECT_EQ(specs.size(), 1u);
  return specs.empty() ? v1::AppSpec() : specs[0];
}

std::string NotesOf(const Import& import) {
  std::string all;
  for (const ImportNote& note : import.notes) absl::StrAppend(&all, note.text, "\n");
  for (const ImportedApp& app : import.apps) {
    for (const ImportNote& note : app.notes) {
      absl::StrAppend(&all, app.name, ":", note.line, ": ", note.text, "\n");
    }
  }
  return all;
}

std::vector<std::string> Command(const v1::AppSpec& spec) {
  return {spec.command().begin(), spec.command().end()};
}

TEST(ProcfileTest, EveryProcessTypeIsAnApp) {
  const auto import = ImportText(From::kProcfile,
                                 "# what runs\n"
                                 "web: node server.js --port $PORT\n"
                                 "\n"
                                 "release: ./migrate\n"
                                 "mail_worker: bundle exec rake jobs:work\n");
  ASSERT_TRUE(import.ok()) << import.status();
  const auto specs = Specs(*import);
  ASSERT_EQ(specs.size(), 2u);
  EXPECT_EQ(specs[0].name(), "web");
  EXPECT_TRUE(specs[0].shell());
  EXPECT_THAT(Command(specs[0]), ElementsAre("node server.js --port $PORT"));
  EXPECT_EQ(specs[0].dir(), "/srv/app");
  EXPECT_EQ(specs[0].route().hosts(0), "*");
  EXPECT_EQ(specs[1].name(), "mail-worker");
  EXPECT_EQ(specs[1].route().hosts(0), "mail-worker.localhost");
  EXPECT_THAT(NotesOf(*import), HasSubstr("release is left out"));
  EXPECT_THAT(NotesOf(*import), HasSubstr("mail-worker:5: is called mail-worker here"));
  EXPECT_THAT(NotesOf(*import), HasSubstr("mail-worker:5: need not listen on a port"));
  EXPECT_EQ(specs[0].health().kind(), v1::HealthCheck::TCP);
  EXPECT_EQ(specs[1].health().kind(), v1::HealthCheck::EXEC);
}

TEST(Pm2Test, WhatIsStartedBecomesTheCommand) {
  struct Case {
    const char* app;
    std::vector<std::string> command;
    bool shell;
  };
  const Case cases[] = {
      {R"("script": "app.js")", {"node", "app.js"}, false},
      {R"("script": "./srv/app.mjs", "args": "--a 'b c'")",
       {"node", "./srv/app.mjs", "--a", "b c"},
       false},
      {R"("script": "app.js", "args": ["x", 1], "node_args": "--expose-gc")",
       {"node", "--expose-gc", "app.js", "x", "1"},
       false},
      {R"("script": "app.py", "interpreter": "python3.11")", {"python3.11", "app.py"}, false},
      {R"("script": "app.py")", {"python3", "app.py"}, false},
      {R"("script": "npm", "args": "start")", {"npm", "start"}, false},
      {R"("script": "./serve", "interpreter": "none", "args": "-v")", {"./serve", "-v"}, false},
      {R"("script": "npm run start", "args": "--x")", {"npm run start --x"}, true},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.app);
    const auto spec =
        SpecOf(From::kPm2, absl::StrCat("{\"apps\": [{\"name\": \"api\", ", c.app, "}]}"));
    EXPECT_EQ(Command(spec), c.command);
    EXPECT_EQ(spec.shell(), c.shell);
    EXPECT_EQ(spec.stop().signal(), "SIGINT");
  }
}

TEST(Pm2Test, WhatHasACounterpartIsTaken) {
  const auto spec = SpecOf(From::kPm2, R"({
    "apps": [{
      "name": "API server", "script": "server.js", "cwd": "./api", "instances": "4",
      "env": {"NODE_ENV": "production", "DEBUG": "", "PORT": 3000, "N": 5},
      "kill_timeout": 3000, "listen_timeout": 8000, "max_memory_restart": "300M",
      "exp_backoff_restart_delay": 250, "min_uptime": 5000
    }]})");
  EXPECT_EQ(spec.name(), "api-server");
  EXPECT_EQ(spec.dir(), "/srv/app/api");
  EXPECT_EQ(spec.replicas(), 4u);
  EXPECT_EQ(spec.env().at("NODE_ENV"), "production");
  EXPECT_EQ(spec.env().at("DEBUG"), "");
  EXPECT_EQ(spec.env().at("N"), "5");
  EXPECT_EQ(spec.env().count("PORT"), 0u);
  EXPECT_EQ(spec.stop().grace_ms(), 3'000u);
  EXPECT_EQ(spec.health().startup_ms(), 8'000u);
  EXPECT_EQ(spec.resources().max_memory_bytes(), 300u << 20);
  EXPECT_EQ(spec.restart().backoff_initial_ms(), 250u);
  EXPECT_EQ(spec.restart().reset_after_ms(), 5'000u);
}

TEST(Pm2Test, WhatHasNoneIsTold) {
  struct Case {
    const char* fields;
    const char* note;
  };
  const Case cases[] = {
      {R"("instances": "max")", "instances: max is as many as a host has CPUs"},
      {R"("instances": 0)", "instances: 0 is as many"},
      {R"("exec_mode": "cluster")", "exec_mode: cluster shares one port"},
      {R"("cron_restart": "0 0 * * *")", "cron_restart is left out: nothing is restarted by"},
      {R"("watch": true)", "watch is left out: files are not watched"},
      {R"("out_file": "/var/log/x")", "out_file is left out: logs are kept by the agent"},
      {R"("wait_ready": true)", "wait_ready is left out"},
      {R"("autorestart": false)", "autorestart: false has no counterpart"},
      {R"("env": {"PORT": 80})", "env.PORT: 80 is left out"},
      {R"("env": {"a-b": 1})", "env.a-b is left out: names"},
      {R"("env_production": {})", "env_production is left out: --env production takes it"},
      {R"("kill_timeout": 999999999)", "stop.grace: 999999999ms is taken as 1440m"},
      {R"("uid": "www")", "isolation.user and group need an agent that runs as root"},
      {R"("frobnicate": 1)", "frobnicate is left out: it has no counterpart"},
  };
  for (const Case& c : cases) {
    const auto import = ImportText(
        From::kPm2, absl::StrCat(R"([{"name": "a", "script": "a.js", )", c.fields, "}]"));
    ASSERT_TRUE(import.ok()) << import.status();
    EXPECT_THAT(NotesOf(*import), HasSubstr(c.note));
    EXPECT_EQ(Specs(*import).size(), 1u);
  }
  const auto quiet = ImportText(
      From::kPm2,
      R"({"name": "a", "script": "a.js", "watch": false, "time": true, "vizion": false})");
  ASSERT_TRUE(quiet.ok()) << quiet.status();
  EXPECT_THAT(NotesOf(*quiet), IsEmpty());
}

TEST(Pm2Test, AnEnvironmentIsChosen) {
  constexpr char kText[] =
      R"({"apps": [{"script": "a.js", "env": {"A": 1, "B": 1}, "env_staging": {"B": 2}}]})";
  const auto import = ImportText(From::kPm2, kText, "staging");
  ASSERT_TRUE(import.ok()) << import.status();
  const auto specs = Specs(*import);
  ASSERT_EQ(specs.size(), 1u);
  EXPECT_EQ(specs[0].name(), "a");
  EXPECT_EQ(specs[0].env().at("A"), "1");
  EXPECT_EQ(specs[0].env().at("B"), "2");
  EXPECT_THAT(NotesOf(*import), IsEmpty());
  EXPECT_THAT(NotesOf(*ImportText(From::kPm2, kText, "other")), HasSubstr("has no env_other"));
}

TEST(Pm2Test, AppsOfOneNameAreToldApart) {
  const auto import = ImportText(From::kPm2, R"([{"name": "a", "script": "a.js"},
                                                 {"name": "A", "script": "b.js"}])");
  ASSERT_TRUE(import.ok()) << import.status();
  const auto specs = Specs(*import);
  ASSERT_EQ(specs.size(), 2u);
  EXPECT_EQ(specs[1].name(), "a-2");
  EXPECT_EQ(specs[1].route().hosts(0), "a-2.localhost");
}

constexpr char kCompose[] = R"(version: "3"
x-env: &env
  LOG: info
services:
  db:
    image: postgres:16
  site:
    build: .
  api:
    image: "registry/app:${TAG:-latest}"
    entrypoint: node
    command: server.js --title "a b" --cost $$5
    environment:
      <<: *env
      MODE: "${MODE:-fast}"
      TOKEN: ${TOKEN}
      PORT: 3000
      HOME:
    ports:
      - "8080:3000"
    healthcheck:
      test: ["CMD", "curl", "-f", "http://localhost:3000/health"]
      interval: 1m30s
      timeout: 2s
      retries: 5
      start_period: 40s
    deploy:
      replicas: 3
      resources:
        limits: {cpus: "0.50", memory: 512M}
      update_config: {order: start-first}
    restart: on-failure
    stop_signal: SIGQUIT
    stop_grace_period: 20s
    depends_on: [db]
    volumes: ["./:/app"]
volumes:
  data:
)";

TEST(ComposeTest, AServiceWithACommandIsAnApp) {
  const auto import = ImportText(From::kCompose, kCompose);
  ASSERT_TRUE(import.ok()) << import.status();
  const auto specs = Specs(*import);
  ASSERT_EQ(specs.size(), 1u);
  const v1::AppSpec& spec = specs[0];
  EXPECT_EQ(spec.name(), "api");
  EXPECT_THAT(Command(spec), ElementsAre("node", "server.js", "--title", "a b", "--cost", "$5"));
  EXPECT_FALSE(spec.shell());
  EXPECT_EQ(spec.env().at("LOG"), "info");
  EXPECT_EQ(spec.env().at("MODE"), "fast");
  EXPECT_EQ(spec.env().at("TOKEN"), "");
  EXPECT_EQ(spec.env().size(), 3u);
  EXPECT_EQ(spec.replicas(), 3u);
  EXPECT_EQ(spec.health().path(), "/health");
  EXPECT_EQ(spec.health().interval_ms(), 90'000u);
  EXPECT_EQ(spec.health().timeout_ms(), 2'000u);
  EXPECT_EQ(spec.health().unhealthy_threshold(), 5u);
  EXPECT_EQ(spec.health().startup_ms(), 40'000u);
  EXPECT_EQ(spec.resources().max_cpu_millis(), 500u);
  EXPECT_EQ(spec.resources().max_memory_bytes(), 512u << 20);
  EXPECT_EQ(spec.stop().signal(), "SIGQUIT");
  EXPECT_EQ(spec.stop().grace_ms(), 20'000u);
}

TEST(ComposeTest, WhatChangesOrHasNoCounterpartIsToldWithItsLine) {
  const auto import = ImportText(From::kCompose, kCompose);
  ASSERT_TRUE(import.ok()) << import.status();
  EXPECT_THAT(import->notes,
              ElementsAre(ImportNote{5,
                                     "db is left out: it is an image (postgres:16), not a "
                                     "process of its own; run it as before"},
                          ImportNote{7,
                                     "site is left out: what it starts is said in its "
                                     "Dockerfile; give it a command"},
                          ImportNote{37, "volumes is left out: it has no counterpart"}));
  const std::string notes = NotesOf(*import);
  for (const char* note :
       {"api:10: image: registry/app:v2 is not used", "environment.PORT: 3000 is left out",
        "environment.HOME is left out", "api:20: ports: 8080:3000 is left out",
        "healthcheck.test is taken as GET /health", "api:31: deploy.update_config is left out",
        "restart: on-failure has no counterpart", "depends_on is left out",
        "api:36: volumes is left out: instances see the files",
        "without a value here, so taken as empty: TOKEN"}) {
    EXPECT_THAT(notes, HasSubstr(note));
  }
}

TEST(ComposeTest, HealthChecksThatAreNoRequestAreRunAsCommands) {
  const auto import = ImportText(From::kCompose, R"(services:
  a: {command: x, healthcheck: {test: pg_isready -U me}}
  b: {command: x, healthcheck: {disable: true}}
  c: {command: x, healthcheck: {test: [CMD, bin/check, "a b"]}}
)");
  ASSERT_TRUE(import.ok()) << import.status();
  const auto specs = Specs(*import);
  ASSERT_EQ(specs.size(), 3u);
  const auto command = [&](size_t i) {
    return std::vector<std::string>(specs[i].health().command().begin(),
                                    specs[i].health().command().end());
  };
  EXPECT_THAT(command(0), ElementsAre("/bin/sh", "-c", "pg_isready -U me"));
  EXPECT_EQ(specs[1].health().kind(), v1::HealthCheck::TCP);
  EXPECT_THAT(command(2), ElementsAre("bin/check", "a b"));
  EXPECT_THAT(NotesOf(*import), HasSubstr("a:2: healthcheck.test is run on the host"));
  EXPECT_THAT(NotesOf(*import), HasSubstr("b:3: healthcheck is off"));
}

TEST(ComposeTest, LimitsUsersAndEnvFilesAreTaken) {
  const auto spec = SpecOf(From::kCompose, R"(services:
  a:
    command: x
    user: "1000:www"
    env_file: [./common.env, {path: web.env, required: true}]
    pids_limit: 64
    ulimits: {nofile: {soft: 4096, hard: 8192}, core: 0}
    mem_limit: 1g
    mem_reservation: 256m
    cpus: 1.5
)");
  EXPECT_EQ(spec.isolation().user(), "1000");
  EXPECT_EQ(spec.isolation().group(), "www");
  EXPECT_THAT(spec.env_files(), ElementsAre("common.env", "web.env"));
  EXPECT_EQ(spec.resources().max_processes(), 64u);
  EXPECT_EQ(spec.resources().max_open_files(), 4'096u);
  EXPECT_EQ(spec.resources().max_memory_bytes(), 1u << 30);
  EXPECT_EQ(spec.resources().memory_bytes(), 256u << 20);
  EXPECT_EQ(spec.resources().max_cpu_millis(), 1'500u);
}

TEST(ComposeTest, APortInTheCodeOfAnAppIsFixed) {
  struct Case {
    const char* service;
    uint32_t fixed;
  };
  const Case cases[] = {
      {"ports: ['8080:3000']", 3'000},
      {"ports: ['127.0.0.1:8080:3000/tcp', '9:9']", 3'000},
      {"ports: [3000]", 3'000},
      {"ports: [{target: 3000, published: 80}]", 3'000},
      {"ports: ['8080:3000'], environment: {PORT: 3000}", 0},
      {"ports: ['3000-3005']", 0},
      {"ports: []", 0},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(SpecOf(From::kCompose, absl::StrCat("services: {a: {command: x, ", c.service, "}}"))
                  .port()
                  .fixed(),
              c.fixed)
        << c.service;
  }
}

TEST(ImportTest, BadInputIsToldWithFileAndLine) {
  struct Case {
    From from;
    const char* text;
    const char* error;
  };
  const Case cases[] = {
      {From::kProcfile, "web: a\nnonsense\n", "Procfile:2: \"nonsense\" is not a process type"},
      {From::kProcfile, "web: a\nweb: b\n", "Procfile:2: web is there twice"},
      {From::kProcfile, "web:\n", "Procfile:1: web has no command"},
      {From::kProcfile, "# nothing\n", "Procfile: has no process"},
      {From::kProcfile, "release: x\n", "Procfile: has no process"},
      {From::kPm2, "{\n\"apps\": [\n}", "ecosystem.json:3: "},
      {From::kPm2, "{}", "ecosystem.json: has no apps"},
      {From::kPm2, "\"text\"", "ecosystem.json: has no apps"},
      {From::kPm2, "{\"apps\": []}", "ecosystem.json: has no apps"},
      {From::kPm2, "{\"apps\": [\n1]}", "ecosystem.json:2: an app is not a map"},
      {From::kPm2, "{\"apps\": [\n{\"name\": \"a\"}]}", "ecosystem.json:2: a: script is missing"},
      {From::kPm2, "[{\"script\": \"a.js\",\n\"instances\": \"many\"}]",
       "ecosystem.json:2: a.instances: many is not a number or \"max\""},
      {From::kPm2, "[{\"script\": \"a.js\",\n\"max_memory_restart\": \"lots\"}]",
       "ecosystem.json:2: a.max_memory_restart: lots is not a size"},
      {From::kPm2, "[{\"script\": \"a.js\",\n\"kill_timeout\": \"1s\"}]",
       "ecosystem.json:2: a.kill_timeout: 1s is not a number of milliseconds"},
      {From::kPm2, "[{\"script\": \"a.js\",\n\"env\": 5}]",
       "ecosystem.json:2: a.env: 5 is not a map"},
      {From::kPm2, "[{\"script\": \"a.js\",\n\"args\": \"'x\"}]", "ecosystem.json:2: a.args: 'x"},
      {From::kCompose, "services:\n  a: [", "compose.yaml:2: "},
      {From::kCompose, "a: 1", "compose.yaml: has no services"},
      {From::kCompose, "services:\n  a: x", "compose.yaml:2: services.a: is not a map"},
      {From::kCompose, "services:\n  a: {image: x}", "compose.yaml: has no service with a command"},
      {From::kCompose, "services:\n  a:\n    command: x 'y",
       "compose.yaml:3: services.a.command: \"x 'y\" has a ' too few"},
      {From::kCompose, "services:\n  a:\n    command: x\n    scale: some",
       "compose.yaml:4: services.a.scale: some is not a number"},
      {From::kCompose, "services:\n  a:\n    command: x\n    environment: ['A=${B?none}']",
       "compose.yaml:4: services.a.environment: B has no value: none"},
      {From::kCompose, "services:\n  a:\n    command: x\n    stop_grace_period: long",
       "compose.yaml:4: services.a.stop_grace_period: long is not a duration"},
      {From::kCompose, "services:\n  a:\n    command: x\n    mem_limit: 5 apples",
       "compose.yaml:4: services.a.memory: 5 apples is not a size"},
      {From::kCompose, "services:\n  a:\n    command: x\n    deploy: none", "compose.yaml:"},
      {From::kCompose, "services:\n  a:\n    command: x\n    healthcheck: {test: [curl, x]}",
       "compose.yaml:4: services.a.healthcheck.test: is neither [CMD, ...]"},
  };
  for (const Case& c : cases) {
    const auto import = ImportText(c.from, c.text);
    ASSERT_FALSE(import.ok()) << c.text;
    EXPECT_THAT(std::string(import.status().message()), testing::StartsWith(c.error));
  }
}

TEST(WordsTest, SplitsAsAShellDoes) {
  struct Case {
    const char* text;
    std::vector<std::string> want;
  };
  const Case cases[] = {
      {"", {}},
      {"  a  b\tc ", {"a", "b", "c"}},
      {R"(a 'b c' "d e" f\ g)", {"a", "b c", "d e", "f g"}},
      {R"(--x="a b"'c' "")", {"--x=a bc", ""}},
      {R"("a\"b\n" '\')", {R"(a"b\n)", R"(\)"}},
  };
  for (const Case& c : cases) {
    const auto words = SplitWords(c.text);
    ASSERT_TRUE(words.ok()) << words.status();
    EXPECT_EQ(*words, c.want) << c.text;
  }
  EXPECT_FALSE(SplitWords("a \"b").ok());
}

TEST(WordsTest, VariablesAreReplacedAsComposeDoes) {
  const Variables variables = [](const std::string& name) -> std::optional<std::string> {
    if (name == "A") return "1";
    if (name == "E") return "";
    return std::nullopt;
  };
  struct Case {
    const char* text;
    const char* want;
  };
  const Case cases[] = {
      {"$A-${A}", "1-1"},     {"$$A $", "$A $"},
      {"${E:-x}${E-y}", "x"}, {"${N:-x}${N-y}", "xy"},
      {"${N:-${A}}", "1"},    {"${A:+s}${N:+t}${E+u}", "su"},
      {"${N}", ""},           {"$1", "$1"},
      {"${A?no}", "1"},
  };
  for (const Case& c : cases) {
    std::vector<std::string> missing;
    const auto text = Interpolate(c.text, variables, missing);
    ASSERT_TRUE(text.ok()) << text.status();
    EXPECT_EQ(*text, c.want) << c.text;
  }
  std::vector<std::string> missing;
  for (const char* bad : {"${A", "${}", "${A!b}", "${N:?none}", "${A:}"}) {
    EXPECT_FALSE(Interpolate(bad, variables, missing).ok()) << bad;
  }
}

TEST(WordsTest, EnvFilesAreLinesOfVariables) {
  const auto variables = ParseEnvFile("A=1\n# B=2\nexport C = \"x y\"\nnonsense\nD=\n");
  const std::map<std::string, std::string> want = {{"A", "1"}, {"C", "x y"}, {"D", ""}};
  EXPECT_EQ(variables, want);
}

TEST(ProbeUrlTest, OnlyRequestsToOneselfAreProbes) {
  struct Case {
    const char* command = nullptr;
    std::optional<std::string> want;
  };
  const Case cases[] = {
      {"CMD curl -f http://localhost:3000/health", "/health"},
      {"curl -fs http://127.0.0.1/ || exit 1", "/"},
      {"wget -q -O- 'http://[::1]:80/a?b=c'", "/a?b=c"},
      {"curl http://localhost", "/"},
      {"curl http://localhosts/x", std::nullopt},
      {"curl http://db:5432/x", std::nullopt},
      {"pg_isready", std::nullopt},
  };
  for (const Case& c : cases) EXPECT_EQ(PathOfOwnUrl(c.command), c.want) << c.command;
}

TEST(ParseBytesTest, UnitsArePowersOf1024) {
  EXPECT_EQ(ParseBytes("512"), 512u);
  EXPECT_EQ(ParseBytes("300M"), 300u << 20);
  EXPECT_EQ(ParseBytes("1gb"), 1u << 30);
  EXPECT_EQ(ParseBytes("1.5k"), 1'536u);
  for (const char* bad : {"", "M", "1x", "1mm", "9999999999t", "1.2.3k"}) {
    EXPECT_EQ(ParseBytes(bad), std::nullopt) << bad;
  }
}

// ---- the command, with files ----

class ImportCommandTest : public testing::Test {
 protected:
  ImportCommandTest() {
    std::string name = testing::TempDir() + "/import-XXXXXX";
    dir_ = std::filesystem::path(mkdtemp(name.data())).lexically_normal();
  }
  ~ImportCommandTest() override { std::filesystem::remove_all(dir_); }

  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(dir_ / name) << text;
    return (dir_ / name).string();
  }
  static std::string Contents(const std::filesystem::path& file) {
    std::ifstream in(file);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  int Run(const std::vector<std::string>& args) {
    std::istringstream in;
    std::ostringstream out;
    std::ostringstream err;
    Terminal terminal{in, out, err};
    const int code = RunCtl(args, terminal);
    out_ = out.str();
    err_ = err.str();
    return code;
  }

  std::filesystem::path dir_;
  std::string out_;
  std::string err_;
};

TEST_F(ImportCommandTest, JavaScriptIsEvaluatedByNode) {
  const std::string file = Write("ecosystem.config.js",
                                 "console.log('noise');\n"
                                 "const n = 1 + 2;\n"
                                 "module.exports = {apps: [{name: 'api', script: 'a.js', "
                                 "instances: n, watch: true, env: {DIR: __dirname}}]};\n");
  ASSERT_EQ(Run({"import", file}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("replicas: 3"));
  EXPECT_THAT(out_, HasSubstr(absl::StrCat("DIR: ", dir_.string())));
  EXPECT_THAT(out_, HasSubstr("# note: watch is left out"));
  EXPECT_THAT(err_, HasSubstr(absl::StrCat(file, ": note: api: watch is left out")));
  EXPECT_TRUE(controller::ParseSpecs(out_, {"app.yaml", "/", "/srv"}).ok());
}

TEST_F(ImportCommandTest, ModulesAndFunctionsAreTakenToo) {
  const std::string file = Write("ecosystem.config.mjs",
                                 "export default () => ({apps: [{name: 'm', script: 'a.js'}]});\n");
  ASSERT_EQ(Run({"import", file}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("name: m"));
}

TEST_F(ImportCommandTest, JavaScriptThatFailsOrExportsNothingIsAnError) {
  EXPECT_EQ(Run({"import", Write("ecosystem.config.js", "throw new Error('no');")}), 1);
  EXPECT_THAT(err_, HasSubstr("node could not read it"));
  EXPECT_EQ(Run({"import", Write("ecosystem.config.cjs", "module.exports = undefined;")}), 1);
  EXPECT_EQ(Run({"import", Write("ecosystem.config.js", "module.exports = {};")}), 1);
  EXPECT_THAT(err_, HasSubstr("ecosystem.config.js: has no apps"));
}

TEST_F(ImportCommandTest, WithoutNodeItSaysWhatToDo) {
  const auto json = ExportsOf("ecosystem.config.js", "no-such-node");
  EXPECT_EQ(json.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(json.status().message()),
              HasSubstr("needs `no-such-node` to run it (No such file or directory); install"));
}

TEST_F(ImportCommandTest, AFileIsWrittenButNotOverwritten) {
  const std::string file = Write("Procfile", "web: node a.js\n");
  const std::string out = (dir_ / "app.yaml").string();
  ASSERT_EQ(Run({"import", file, "-o", out}), 0) << err_;
  EXPECT_THAT(out_, IsEmpty());
  EXPECT_THAT(Contents(out), HasSubstr("command: node a.js\nshell: true"));
  std::ofstream(out) << "mine";
  EXPECT_EQ(Run({"import", file, "-o", out}), 1);
  EXPECT_THAT(err_, HasSubstr("is there already (--force overwrites it)"));
  EXPECT_EQ(Contents(out), "mine");
  EXPECT_EQ(Run({"import", file, "-o", out, "--force"}), 0);
  EXPECT_THAT(Contents(out), HasSubstr("name: web"));
}

TEST_F(ImportCommandTest, ComposeReadsTheEnvFileBesideIt) {
  Write(".env", "MODE=slow\n");
  const std::string file =
      Write("compose.yaml", "services: {a: {command: 'run $MODE', image: x}}\n");
  ASSERT_EQ(Run({"import", file}), 0) << err_;
  EXPECT_THAT(out_, HasSubstr("command: [run, slow]"));
  EXPECT_THAT(err_, HasSubstr(absl::StrCat(file, ":1: note: a: image: x is not used")));
}

TEST_F(ImportCommandTest, TheKindOfAFileIsKnownByItsNameOrSaid) {
  EXPECT_EQ(Run({"import", Write("apps.txt", "web: x\n")}), 2);
  EXPECT_THAT(err_, HasSubstr("say which with --from"));
  EXPECT_EQ(Run({"import", (dir_ / "apps.txt").string(), "--from", "procfile"}), 0) << err_;
  EXPECT_EQ(Run({"import", (dir_ / "Procfile.none").string()}), 1);
  EXPECT_THAT(err_, HasSubstr("No such file or directory"));
  EXPECT_EQ(Run({"import", dir_.string(), "--from", "pm2"}), 1);
  EXPECT_THAT(err_, HasSubstr("is a directory"));
}

}  // namespace
}  // namespace pando::ctl
