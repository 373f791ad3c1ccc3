// Whole commands against a scripted controller.
#include "ctl/run.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>
#include <thread>

#include "absl/strings/str_cat.h"
#include "ctl/fake_admin.h"

namespace pando::ctl {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::MatchesRegex;
using testing::StartsWith;

template <class Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message)) << text;
  return message;
}

struct Output {
  int code;
  std::string out;
  std::string err;
};

struct Setting {
  std::string controller;
  std::string in;
  bool is_terminal = false;
};

Output Ctl(const Setting& setting, const std::vector<std::string>& args) {
  std::istringstream in(setting.in);
  std::ostringstream out;
  std::ostringstream err;
  Terminal terminal{in, out, err};
  terminal.in_is_terminal = setting.is_terminal;
  terminal.out_is_terminal = setting.is_terminal;
  terminal.err_is_terminal = setting.is_terminal;
  terminal.env["PANDO_CONTROLLER"] = setting.controller;
  terminal.env["PANDO_BY"] = "ana@laptop";
  const int code = RunCtl(args, terminal);
  return {code, out.str(), err.str()};
}

// A directory of its own for a test's files.
class TempDir {
 public:
  TempDir() {
    std::string name = testing::TempDir() + "/ctl-XXXXXX";
    path_ = std::filesystem::path(mkdtemp(name.data())).lexically_normal();
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ / name) << text;
    return (path_ / name).string();
  }
  std::string path() const { return path_.string(); }

 private:
  std::filesystem::path path_;
};

class RunTest : public testing::Test {
 protected:
  Output Run(const std::vector<std::string>& args) {
    return Ctl({admin_.address(), "", false}, args);
  }
  // web as it is at a generation, with more fields.
  static v1::ClusterView View(const std::string& fields, uint64_t generation = 7) {
    auto view = Parse<v1::ClusterView>(
        "apps { name: 'web' revision: 3 replicas: 8 proxies_live: 2 " + fields + " }");
    view.mutable_apps(0)->set_generation(generation);
    return view;
  }
  static v1::ClusterView Settled() {
    return View("placed: 8 ready: 8 available: 8 proxies_acked: 2 settled: true rollout: COMPLETE");
  }
  void AcceptScale() {
    admin_.AnswerChange(Parse<v1::ChangeResponse>(
        "app: 'web' old_replicas: 2 replicas: 8 revision: 3 generation: 7"));
  }

  FakeAdmin admin_;
};

TEST_F(RunTest, TopShowsTheLoadOnceWhenNobodyWatches) {
  admin_.ShowLoad(Parse<v1::LoadView>(
      "apps { app: 'web' replicas: 1 available: 1 requests { requests_per_second: 42 } } "
      "instances { app: 'web' name: 'web.1' state: 'in-rotation' usage { cpu_cores: 0.5 } }"));
  const Output apps = Run({"top"});
  EXPECT_EQ(apps.code, 0) << apps.err;
  EXPECT_THAT(apps.out, HasSubstr("42"));
  const Output instances = Run({"top", "instances", "web", "--sort", "cpu", "-o", "json"});
  EXPECT_EQ(instances.code, 0) << instances.err;
  EXPECT_THAT(instances.out, HasSubstr("\"name\": \"web.1\""));
  EXPECT_THAT(admin_.calls(), ElementsAre("GetLoad", "GetLoad app: \"web\""));
  EXPECT_EQ(Run({"top", "everything"}).code, 2);
  EXPECT_THAT(Run({"top", "--sort", "size"}).err, HasSubstr("allowed: name, cpu, memory"));
}

TEST_F(RunTest, StatusShowsTheLoadBelow) {
  admin_.ShowLoad(Parse<v1::LoadView>(
      "apps { app: 'web' requests { requests_per_second: 77 } history_step_seconds: 60 "
      "requests_history: [ 1, 77 ] }"));
  EXPECT_THAT(Run({"status"}).out, HasSubstr("the last 2 min"));
  EXPECT_THAT(Run({"status", "-o", "json"}).out, testing::Not(HasSubstr("77")));
}

TEST_F(RunTest, BenchRefusesWhatItCannotDo) {
  EXPECT_EQ(Run({"bench"}).code, 2);
  EXPECT_THAT(Run({"bench", "ftp://x"}).err, HasSubstr("URL: \"ftp://x\" is not a URL"));
  EXPECT_THAT(Run({"bench", "http://127.0.0.1/", "--rate", "0"}).err, HasSubstr("--rate: 0"));
  EXPECT_THAT(Run({"bench", "http://127.0.0.1/", "--duration", "long"}).err,
              HasSubstr("--duration: \"long\" is not a duration"));
  EXPECT_THAT(Run({"bench", "http://127.0.0.1/", "--header", "no colon"}).err,
              HasSubstr("is not of the form"));
}

TEST_F(RunTest, ScaleWaitsUntilEveryProxyHasIt) {
  AcceptScale();
  admin_.ShowViews({View("settled: true", 6), View("placed: 8 ready: 3"), Settled()});
  const Output output = Run({"scale", "web", "--replicas", "8"});
  EXPECT_EQ(output.code, 0) << output.err;
  EXPECT_TRUE(std::regex_match(
      output.out, std::regex("web 2 -> 8  placed 8/8  ready 8/8  in rotation on 2/2 proxies  "
                             "[0-9.]+ s\n")))
      << output.out;
  EXPECT_THAT(admin_.calls(), ElementsAre("GetCluster app: \"web\"",
                                          "Scale app: \"web\" replicas: 8 options { "
                                          "if_generation: 7 }",
                                          "WatchCluster app: \"web\""));
  EXPECT_EQ(admin_.by(), "ana@laptop");
}

TEST_F(RunTest, ScaleIsBasedOnTheGenerationItIsTold) {
  AcceptScale();
  EXPECT_EQ(Run({"scale", "web=8", "--detach", "--if-generation", "5"}).code, 0);
  EXPECT_THAT(admin_.calls(),
              ElementsAre("Scale app: \"web\" replicas: 8 options { if_generation: 5 }"));
  admin_.FailAll(grpc::Status(grpc::StatusCode::ABORTED, "web is not what it was"));
  EXPECT_EQ(Run({"scale", "web=8", "--if-generation", "5"}).code, 7);
}

TEST_F(RunTest, ALostAnswerIsAskedForAgainWithTheSameId) {
  AcceptScale();
  admin_.FailOnce(grpc::Status(grpc::StatusCode::UNAVAILABLE, "shutting down"));
  const Output output = Run({"scale", "web", "+6", "--detach"});
  EXPECT_EQ(output.code, 0) << output.err;
  EXPECT_EQ(output.out, "web 2 -> 8  accepted\n");
  EXPECT_EQ(admin_.calls().size(), 2u);
  const std::vector<std::string> ids = admin_.request_ids();
  ASSERT_EQ(ids.size(), 2u);
  EXPECT_EQ(ids[0], ids[1]);
  EXPECT_EQ(ids[0].size(), 32u);
  Run({"scale", "web", "+6", "--detach"});
  EXPECT_NE(admin_.request_ids().back(), ids[0]);
}

TEST_F(RunTest, ScaleTakesRelativeNumbersAndGlobalOptionsAnywhere) {
  AcceptScale();
  for (const auto& args : std::vector<std::vector<std::string>>{{"--detach", "scale", "web", "-1"},
                                                                {"scale", "web", "-1", "--detach"},
                                                                {"scale", "--detach", "web=-1"}}) {
    const Output output = Run(args);
    EXPECT_EQ(output.code, 0) << output.err;
    EXPECT_EQ(output.out, "web 2 -> 8  accepted\n");
    EXPECT_EQ(admin_.calls().back(), "Scale app: \"web\" delta: -1 relative: true");
  }
}

TEST_F(RunTest, ScaleInMachineReadableForm) {
  AcceptScale();
  admin_.ShowViews({Settled()});
  const Output json = Run({"scale", "web=8", "-o", "json"});
  EXPECT_EQ(json.code, 0) << json.err;
  EXPECT_THAT(json.out, StartsWith("{\n  \"changes\": [\n    {\n      \"app\": \"web\",\n"));
  EXPECT_THAT(json.out, HasSubstr("\"outcome\": \"ok\""));
  EXPECT_THAT(json.out, HasSubstr("\"settled\": true"));
  const Output yaml = Run({"-o", "yaml", "scale", "web=8", "--detach"});
  EXPECT_EQ(yaml.out,
            "changes:\n  - app: web\n    old_replicas: 2\n    replicas: 8\n    revision: 3\n"
            "    generation: 7\n    outcome: accepted\n    seconds: 0.000\n"
            "    message: \"web 2 -> 8  accepted\"\n    status: ~\n");
}

TEST_F(RunTest, FailedRolloutIsCodeFour) {
  AcceptScale();
  admin_.ShowViews({View("placed: 8 rollout: FAILED failure: 'web.1: exited with code 1'")});
  const Output output = Run({"scale", "web=8"});
  EXPECT_EQ(output.code, 4);
  EXPECT_EQ(output.out, "");
  EXPECT_EQ(output.err, "ctl: web: the rollout of r3 failed: web.1: exited with code 1\n");
}

TEST_F(RunTest, ARollbackIsCodeFourToo) {
  AcceptScale();
  admin_.ShowViews(
      {View("rollout: ROLLED_BACK rolled_back: 4 failure: 'web.1: exited' settled: "
            "true",
            8)});
  const Output output = Run({"rollout", "resume", "web"});
  EXPECT_EQ(output.code, 4);
  EXPECT_EQ(output.err, "ctl: web: r4 was rolled back to r3: web.1: exited\n");
  EXPECT_EQ(Run({"rollout", "status", "web"}).code, 4);
}

TEST_F(RunTest, RolloutsAreUndonePausedAndResumed) {
  AcceptScale();
  admin_.ShowViews({Settled()});
  EXPECT_THAT(Run({"rollout", "undo", "web", "--to", "r3"}).out,
              StartsWith("web back to r3  placed 8/8"));
  EXPECT_EQ(Run({"rollout", "pause", "web"}).out,
            "web r3 paused; go on with: ctl rollout resume web\n");
  EXPECT_THAT(Run({"rollout", "resume", "web"}).out, StartsWith("web r3  placed 8/8"));
  EXPECT_THAT(Run({"rollout", "status", "web"}).out, StartsWith("web r3  placed 8/8"));
  std::vector<std::string> changes;
  for (const std::string& call : admin_.calls()) {
    if (call.rfind("WatchCluster", 0) != 0 && call.rfind("GetCluster", 0) != 0) {
      changes.push_back(call);
    }
  }
  EXPECT_THAT(changes, ElementsAre("Undo app: \"web\" to: 3", "Pause app: \"web\" paused: true",
                                   "Pause app: \"web\""));
  EXPECT_THAT(Run({"rollout", "promote", "web", "--all"}).out, HasSubstr("web r3 promoted"));
  EXPECT_EQ(admin_.calls().back(), "Promote app: \"web\" all: true");
  const Output bad = Run({"rollout", "undo", "web", "--to", "rx"});
  EXPECT_EQ(bad.code, 2);
  EXPECT_THAT(bad.err, HasSubstr("\"rx\" is not a revision (allowed: r1, r2, ...)"));
  EXPECT_EQ(Run({"rollout", "undo", "web", "--to", "0"}).code, 2);
  EXPECT_EQ(Run({"rollout", "stop", "web"}).code, 2);
  EXPECT_EQ(Run({"rollout", "status", "web", "--to", "r3"}).err,
            "ctl: --to is for undo, not for status (see ctl rollout --help)\n");
  EXPECT_EQ(Run({"rollout", "undo", "web", "--all"}).code, 2);
}

TEST_F(RunTest, EveryWordOnARolloutIsADocumentWhenOneIsWanted) {
  AcceptScale();
  admin_.ShowViews({Settled()});
  for (const std::string action : {"undo", "pause", "resume", "promote", "status"}) {
    SCOPED_TRACE(action);
    const Output json = Run({"rollout", action, "web", "-o", "json"});
    EXPECT_EQ(json.code, 0) << json.err;
    EXPECT_THAT(json.out, StartsWith("{\n  \"changes\": [\n    {\n      \"app\": \"web\",\n"));
    EXPECT_THAT(json.out, HasSubstr("\"outcome\": \"ok\""));
    EXPECT_EQ(Run({"rollout", action, "web", "-o", "name"}).out, "web\n");
  }
  admin_.ShowViews({View("rollout: ROLLED_BACK rolled_back: 4 failure: 'web.1: exited'", 8)});
  const Output failed = Run({"rollout", "status", "web", "-o", "json"});
  EXPECT_EQ(failed.code, 4);
  EXPECT_EQ(failed.err, "ctl: web: r4 was rolled back to r3: web.1: exited\n");
  EXPECT_THAT(failed.out, HasSubstr("\"outcome\": \"rollout-failed\""));
  EXPECT_THAT(failed.out, HasSubstr("\"rolled_back\": 4"));
}

TEST_F(RunTest, AStepThatWaitsForPromoteShowsHowBothReleasesDo) {
  admin_.ShowViews(
      {View("placed: 1 ready: 1 available: 1 outdated: 8 step: 1 steps: 2 step_traffic: 5 "
            "waits_for_promote: true loads { revision: 2 requests: 950 p99_ms: 25 } "
            "loads { revision: 3 requests: 50 errors: 1 }")});
  const Output output = Run({"rollout", "status", "web"});
  EXPECT_EQ(output.code, 0) << output.err;
  EXPECT_THAT(output.out, StartsWith("web r3  step 1/2 (5% of requests); go on with: ctl rollout "
                                     "promote web  "));
  EXPECT_THAT(output.out, testing::ContainsRegex("r2 +950 +0.0% +up to 25 ms\n"));
  EXPECT_THAT(output.out, testing::ContainsRegex("r3 +50 +2.0% +-"));
}

TEST_F(RunTest, TheHistoryOfReleases) {
  admin_.AnswerHistory(Parse<v1::HistoryResponse>(
      "releases { revision: 2 created_unix_ms: 1700000000000 by: 'ana@laptop' reason: 'apply' "
      "changes: 'command' changes: 'env.A' changes: 'env.B' changes: 'env.C' "
      "result: 'rolled-back' result_detail: 'web.1: exited' } "
      "releases { revision: 1 created_unix_ms: 1700000000000 reason: 'apply' result: 'live' "
      "current: true }"));
  const Output output = Run({"rollout", "history", "web"});
  EXPECT_EQ(output.code, 0) << output.err;
  EXPECT_THAT(output.out, HasSubstr("ana@laptop"));
  EXPECT_THAT(output.out,
              testing::ContainsRegex(
                  "r2 +.*command, env.A, env.B, and 1 more +rolled-back +web.1: exited\n"));
  EXPECT_THAT(output.out, testing::ContainsRegex("r1 \\* .*live"));
  EXPECT_EQ(Run({"rollout", "history", "web", "-o", "name"}).out, "r2\nr1\n");
  EXPECT_THAT(Run({"rollout", "history", "web", "-o", "json"}).out,
              HasSubstr("\"result\": \"rolled-back\""));
}

TEST_F(RunTest, ApplySaysWhatIsKnownToBeBad) {
  const TempDir dir;
  const std::string file = dir.Write("app.yaml", "name: web\n");
  admin_.AnswerApply(Parse<v1::ApplyResponse>(
      "apps { name: 'web' old_revision: 2 revision: 4 generation: 7 refused: 'this is r3' }"));
  const Output output = Run({"apply", "-f", file});
  EXPECT_EQ(output.code, 4);
  EXPECT_EQ(
      output.err,
      "ctl: web: nothing was changed: this is r3 (change it, or try it again with --force)\n");
  EXPECT_EQ(Run({"apply", "-f", file, "--force", "--dry-run"}).code, 0);
  EXPECT_THAT(admin_.calls().back(), HasSubstr("options { force: true }"));
}

TEST_F(RunTest, NotFullyPlacedIsCodeFive) {
  AcceptScale();
  admin_.ShowViews({View("placed: 6 ready: 6 available: 6 pending_reason: 'no node has room'")});
  const Output output = Run({"scale", "web=8", "-q"});
  EXPECT_EQ(output.code, 5);
  EXPECT_EQ(output.err, "ctl: web: only 6 of 8 can be placed: no node has room\n");
}

TEST_F(RunTest, TimeoutIsCodeSix) {
  AcceptScale();
  admin_.ShowViews({View("placed: 8 ready: 3")});
  const Output output = Run({"scale", "web=8", "--timeout", "300ms"});
  EXPECT_EQ(output.code, 6);
  EXPECT_THAT(output.err, HasSubstr("ctl: web: not done after 0.3 s: placed 8/8  ready 3/8"));
}

TEST_F(RunTest, AnswersOfTheControllerHaveTheirCodes) {
  struct Case {
    grpc::StatusCode status;
    int code;
  };
  const Case cases[] = {
      {grpc::StatusCode::INVALID_ARGUMENT, 1},  {grpc::StatusCode::FAILED_PRECONDITION, 1},
      {grpc::StatusCode::ABORTED, 7},           {grpc::StatusCode::NOT_FOUND, 8},
      {grpc::StatusCode::PERMISSION_DENIED, 9}, {grpc::StatusCode::UNAUTHENTICATED, 9},
      {grpc::StatusCode::UNAVAILABLE, 10}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.code);
    admin_.FailAll(grpc::Status(c.status, "no such app: web"));
    const Output output = Run({"stop", "web", "--timeout", "300ms"});
    EXPECT_EQ(output.code, c.code);
    EXPECT_EQ(output.err, "ctl: no such app: web\n");
  }
}

TEST_F(RunTest, UnreachableControllerIsCodeTen) {
  const std::string address = admin_.address();
  admin_.StopServer();
  for (const char* command : {"status", "stop", "events", "logs", "version"}) {
    SCOPED_TRACE(command);
    const Output output = Run({command});
    EXPECT_EQ(output.code, 10);
    EXPECT_EQ(output.err, "ctl: cannot reach the controller at " + address +
                              " (is pando-controller running? choose another with --controller "
                              "or PANDO_CONTROLLER)\n");
  }
  EXPECT_EQ(Run({"status", "--watch"}).code, 10);
  EXPECT_EQ(Run({"__complete", "apps"}).err, "");
}

TEST_F(RunTest, WaitsForAControllerThatRestarts) {
  AcceptScale();
  admin_.ShowViews({View("placed: 8 ready: 3")});
  Output output{};
  std::thread command([&] { output = Run({"scale", "web=8", "--timeout", "60s"}); });
  admin_.AwaitCall("WatchCluster");
  const int port = admin_.port();
  admin_.StopServer();
  FakeAdmin again(port);
  again.ShowViews({Settled()});
  command.join();
  EXPECT_EQ(output.code, 0) << output.err;
  EXPECT_THAT(output.out, HasSubstr("in rotation on 2/2 proxies"));
  const std::string said = "ctl: the controller went away; the change stands, waiting";
  const size_t first = output.err.find(said);
  ASSERT_NE(first, std::string::npos) << output.err;
  EXPECT_EQ(output.err.find(said, first + 1), std::string::npos) << output.err;
}

TEST_F(RunTest, WrongUsageIsCodeTwoAndOneLine) {
  const std::vector<std::vector<std::string>> cases = {{"frobnicate"},
                                                       {"scale", "web"},
                                                       {"apply"},
                                                       {"status", "--nope"},
                                                       {"-o", "xml", "status"},
                                                       {"status", "--timeout", "soon"},
                                                       {"scale", "web=x"},
                                                       {"cordon"},
                                                       {"status", "--controller", "nowhere"},
                                                       {"rm", "web"},
                                                       {"completion", "tcsh"}};
  for (const auto& args : cases) {
    SCOPED_TRACE(testing::PrintToString(args));
    const Output output = Run(args);
    EXPECT_EQ(output.code, 2);
    EXPECT_EQ(output.out, "");
    EXPECT_THAT(output.err, StartsWith("ctl: "));
    EXPECT_EQ(std::count(output.err.begin(), output.err.end(), '\n'), 1) << output.err;
  }
  EXPECT_THAT(admin_.calls(), ElementsAre());
  EXPECT_EQ(Run({}).code, 2);
}

TEST_F(RunTest, AnUnknownCommandIsNamedWithTheOneThatWasMeant) {
  EXPECT_THAT(Run({"statsu"}).err, StartsWith("ctl: unknown command statsu, did you mean status?"));
  EXPECT_THAT(Run({"frobnicate"}).err, StartsWith("ctl: unknown command frobnicate (see"));
  EXPECT_THAT(Run({"-q", "scal", "web", "3"}).err, HasSubstr("did you mean scale?"));
}

TEST_F(RunTest, HelpListsCommandsAndExitCodes) {
  const Output output = Run({"--help"});
  EXPECT_EQ(output.code, 0);
  for (const char* word : {"apply", "scale", "unfreeze", "completion", "Exit codes:",
                           " 10  the controller cannot be reached", "--controller"}) {
    EXPECT_THAT(output.out, HasSubstr(word));
  }
  EXPECT_THAT(output.out, testing::Not(HasSubstr("__complete")));
  EXPECT_THAT(Run({"scale", "--help"}).out, HasSubstr("--replicas"));
  EXPECT_THAT(Run({"--version"}).out, MatchesRegex("ctl [0-9.]+\n"));
}

TEST_F(RunTest, ApplySendsTheTextAndTellsWhatChanged) {
  const TempDir dir;
  const std::string file = dir.Write("app.yaml", "name: web\n");
  admin_.AnswerApply(Parse<v1::ApplyResponse>(
      "apps { name: 'web' old_revision: 2 revision: 3 replicas: 8 generation: 7 old_generation: 6 "
      "replicas_source: 'kept: set by scale, spec says 4' } gateways: 'default' "
      "gateway_plans { name: 'default' old_version: 11 "
      "changes { field: 'port' old_value: '80' new_value: '81' } }"));
  admin_.ShowViews({Settled()});
  const Output output = Run({"apply", "-f", file});
  EXPECT_EQ(output.code, 0) << output.err;
  EXPECT_THAT(output.out,
              StartsWith("web: r2 -> r3  replicas 8 (kept: set by scale, spec says 4)\n"
                         "gateway default: changed\n  ~ port: 80 -> 81\n"
                         "web r2 -> r3  placed 8/8  ready 8/8  in rotation on 2/2 proxies  "));
  const std::string sent = "Apply yaml: \"name: web\\n\" filename: \"" + file + "\" base_dir: \"" +
                           std::filesystem::current_path().string() + "\" file_dir: \"" +
                           dir.path() + "\" ";
  EXPECT_EQ(admin_.calls()[0], sent + "dry_run: true");
  EXPECT_EQ(admin_.calls()[1], sent +
                                   "if_generations { key: \"web\" value: 6 } "
                                   "if_gateways { key: \"default\" value: 11 }");
}

TEST_F(RunTest, ApplyIsBasedOnWhatItIsTold) {
  const TempDir dir;
  const std::string file = dir.Write("app.yaml", "name: web\n");
  admin_.AnswerApply(
      Parse<v1::ApplyResponse>("apps { name: 'web' old_revision: 2 revision: 3 generation: 7 }"));
  for (const char* told : {"5", "web=5"}) {
    EXPECT_EQ(Run({"apply", "-f", file, "--detach", "--if-generation", told}).code, 0);
    EXPECT_THAT(admin_.calls().back(), HasSubstr("if_generations { key: \"web\" value: 5 }"));
  }
  const Output bad = Run({"apply", "-f", file, "--if-generation", "web=x"});
  EXPECT_EQ(bad.code, 2);
  EXPECT_THAT(bad.err, HasSubstr("--if-generation: \"web=x\" is not a number"));
}

TEST_F(RunTest, PlanTellsWhatWouldChangeAndHasACodeForIt) {
  const TempDir dir;
  const std::string file = dir.Write("app.yaml", "name: web\n");
  admin_.AnswerApply(Parse<v1::ApplyResponse>(
      "apps { name: 'web' old_revision: 2 revision: 3 old_replicas: 8 replicas: 8 "
      "replicas_source: 'spec' changes { field: 'env.LEVEL' old_value: 'info' new_value: 'debug' } "
      "steps: 'replaces 8 instances' }"));
  const Output plan = Run({"plan", "-f", file});
  EXPECT_EQ(plan.code, 0) << plan.err;
  EXPECT_EQ(plan.out,
            "web: r2 -> r3  replicas 8\n  ~ env.LEVEL: info -> debug\n  replaces 8 instances\n"
            "1 app to change\n");
  EXPECT_EQ(Run({"plan", "-f", file, "--exit-code"}).code, 3);
  EXPECT_EQ(Run({"plan", "-f", file, "-o", "name"}).out, "web\n");
  EXPECT_THAT(Run({"plan", "-f", file, "-o", "json"}).out,
              StartsWith("{\n  \"pending\": true,\n  \"apps\": [\n"));
  for (const std::string& call : admin_.calls()) EXPECT_THAT(call, HasSubstr("dry_run: true"));

  admin_.AnswerApply(Parse<v1::ApplyResponse>(
      "apps { name: 'web' old_revision: 3 revision: 3 old_replicas: 8 replicas: 8 }"));
  const Output none = Run({"plan", "-f", file, "--exit-code"});
  EXPECT_EQ(none.code, 0);
  EXPECT_EQ(none.out, "web: r3 unchanged  replicas 8\nnothing to change\n");
}

TEST_F(RunTest, ApplyShowsSpecErrorsAsTheyAre) {
  const TempDir dir;
  const std::string file = dir.Write("app.yaml", "name: web\n");
  const std::string lines =
      "app.yaml:7: health.interval: \"1\" is not a duration\napp.yaml:9: replica: unknown key";
  admin_.FailAll(grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, lines));
  const Output output = Run({"apply", "-f", file});
  EXPECT_EQ(output.code, 1);
  EXPECT_EQ(output.err, lines + "\n");
}

TEST_F(RunTest, AllFilesAreOneRequest) {
  const TempDir dir;
  admin_.AnswerApply(Parse<v1::ApplyResponse>(
      "apps { name: 'web' revision: 3 replicas: 8 generation: 7 replicas_source: 'spec' }"));
  const Output output =
      Run({"apply", "--detach", "-f", dir.Write("a.yaml", "a"), "-f", dir.Write("b.yaml", "b")});
  EXPECT_EQ(output.code, 0) << output.err;
  EXPECT_THAT(output.out, StartsWith("web: new, r3  replicas 8\n"));
  ASSERT_EQ(admin_.calls().size(), 2u);
  for (const std::string& call : admin_.calls()) {
    EXPECT_THAT(call, HasSubstr("more_files { yaml: \"b\" filename: \"" + dir.path() + "/b.yaml"));
  }
}

TEST_F(RunTest, ApplyDryRunChangesNothing) {
  admin_.AnswerApply(Parse<v1::ApplyResponse>(
      "apps { name: 'web' old_revision: 3 revision: 3 old_replicas: 8 replicas: 8 "
      "replicas_source: 'spec' }"));
  const Output output =
      Ctl({admin_.address(), "name: web\n", false}, {"apply", "-f", "-", "--dry-run"});
  EXPECT_EQ(output.code, 0) << output.err;
  EXPECT_EQ(output.out, "web: r3 unchanged  replicas 8\nnothing to change\n");
  ASSERT_EQ(admin_.calls().size(), 1u);
  EXPECT_THAT(admin_.calls().front(), HasSubstr("filename: \"stdin\""));
  EXPECT_THAT(admin_.calls().front(), HasSubstr("dry_run: true"));
}

TEST_F(RunTest, ApplyNamesAFileItCannotRead) {
  const TempDir dir;
  Output output = Run({"apply", "-f", dir.path() + "/none.yaml"});
  EXPECT_EQ(output.code, 1);
  EXPECT_EQ(output.err, "ctl: " + dir.path() + "/none.yaml: No such file or directory\n");
  output = Run({"apply", "-f", dir.path()});
  EXPECT_EQ(output.err, "ctl: " + dir.path() + ": is a directory\n");
}

TEST_F(RunTest, LogsSayWhichLinesAreWanted) {
  struct Case {
    std::vector<std::string> args;
    const char* call;
  };
  const Case cases[] = {
      {{"logs", "web"}, "Logs target: \"web\" tail: 100"},
      {{"logs", "web", "--tail", "all"}, "Logs target: \"web\" tail: 4294967295"},
      {{"logs", "web", "--since", "2026-11-23T12:04:05Z"},
       "Logs target: \"web\" tail: 4294967295 since_unix_ms: 1795435445000"},
      {{"logs", "web.1", "--since", "2026-11-23T12:04:05Z", "--tail", "7"},
       "Logs target: \"web.1\" tail: 7 since_unix_ms: 1795435445000"},
      {{"logs", "web.1", "--previous"}, "Logs target: \"web.1\" tail: 100 previous: true"},
  };
  for (const Case& c : cases) {
    const Output output = Run(c.args);
    EXPECT_EQ(output.code, 0) << output.err;
    EXPECT_EQ(admin_.calls().back(), c.call);
  }
  EXPECT_EQ(Run({"logs", "web", "--since", "10m"}).code, 0);
  EXPECT_EQ(Run({"logs", "web", "--since", "soon"}).code, 2);
  EXPECT_THAT(Run({"logs", "web", "--tail", "some"}).err, HasSubstr("--tail: \"some\" is not"));
  EXPECT_THAT(Run({"logs", "-f", "--previous"}).err, HasSubstr("cannot be followed"));
}

TEST_F(RunTest, LifecycleCommandsWaitForTheirOwnGoals) {
  AcceptScale();
  admin_.ShowViews(
      {View("stopped: true settled: true draining: 2"), View("stopped: true settled: true")});
  EXPECT_THAT(Run({"stop", "web"}).out, StartsWith("web stopped  "));
  admin_.ShowViews({Settled()});
  EXPECT_THAT(Run({"start"}).out, StartsWith("web started  placed 8/8  ready 8/8  "));
  EXPECT_THAT(Run({"restart", "web"}).out, StartsWith("web restarted as r3  placed 8/8  "));
  admin_.ShowViews({Settled(), v1::ClusterView()});
  const Output rm = Run({"rm", "web", "-y"});
  EXPECT_EQ(rm.code, 0) << rm.err;
  EXPECT_THAT(rm.out, StartsWith("web removed  "));
}

TEST_F(RunTest, RemoveAsksOnATerminal) {
  AcceptScale();
  admin_.ShowViews({Settled(), v1::ClusterView()});
  const Output no = Ctl({admin_.address(), "n\n", true}, {"rm", "web"});
  EXPECT_EQ(no.code, 1);
  EXPECT_THAT(no.err, StartsWith("Remove web, its instances and its history? [y/N] "));
  EXPECT_THAT(admin_.calls(), ElementsAre());
  const Output yes = Ctl({admin_.address(), "y\n", true}, {"rm", "web"});
  EXPECT_EQ(yes.code, 0) << yes.err;
  EXPECT_EQ(admin_.calls().front(), "Remove app: \"web\"");
}

TEST_F(RunTest, AGatewayIsRemovedByItsName) {
  EXPECT_EQ(Run({"rm", "--gateway", "edge", "-y"}).out, "edge removed\n");
  EXPECT_EQ(admin_.calls().back(), "RemoveGateway name: \"edge\"");
  EXPECT_THAT(Run({"rm", "--gateway", "edge", "-y", "-o", "json"}).out,
              HasSubstr("\"outcome\": \"removed\""));
  const size_t calls = admin_.calls().size();
  const Output no = Ctl({admin_.address(), "n\n", true}, {"rm", "--gateway", "edge"});
  EXPECT_EQ(no.code, 1);
  EXPECT_THAT(no.err, StartsWith("Remove gateway edge? "));
  EXPECT_EQ(Run({"rm", "--gateway", "edge"}).code, 2) << "nobody to ask";
  const Output both = Run({"rm", "web", "--gateway", "edge", "-y"});
  EXPECT_EQ(both.code, 2);
  EXPECT_THAT(both.err, StartsWith("ctl: rm: an app or a --gateway, not both"));
  EXPECT_EQ(admin_.calls().size(), calls);
}

TEST_F(RunTest, RemoveNamesTheOnlyAppInItsQuestion) {
  admin_.ShowViews({Settled()});
  EXPECT_THAT(Ctl({admin_.address(), "\n", true}, {"rm"}).err, StartsWith("Remove web, "));
  admin_.ShowViews({Parse<v1::ClusterView>("apps { name: 'a' } apps { name: 'b' }")});
  const Output output = Ctl({admin_.address(), "y\n", true}, {"rm"});
  EXPECT_EQ(output.err, "ctl: there are several apps; say which one\n");
}

TEST_F(RunTest, ProgressIsRedrawnInPlaceOnATerminal) {
  AcceptScale();
  admin_.ShowViews({View("placed: 8 ready: 3 available: 1"), Settled()});
  const Output output = Ctl({admin_.address(), "", true}, {"scale", "web=8"});
  EXPECT_EQ(output.code, 0);
  EXPECT_EQ(output.err.find('\n'), std::string::npos) << output.err;
  const std::string cleared = "\r\x1b[2K";
  EXPECT_TRUE(output.err.empty() || output.err.ends_with(cleared)) << output.err;
}

TEST_F(RunTest, ListsInAllFormats) {
  admin_.ShowViews({Parse<v1::ClusterView>(
      "instances { app: 'web' name: 'web.1' node: 'node-1' revision: 3 state: 'in-rotation' "
      "address: '127.0.0.1:20000' started_unix_ms: 1000 } now_unix_ms: 61000")});
  EXPECT_EQ(Run({"ps", "web"}).out,
            "INSTANCE  NODE    REV  STATE        ADDRESS          RESTARTS  AGE  DETAIL\n"
            "web.1     node-1  r3   in-rotation  127.0.0.1:20000  0         1m\n");
  EXPECT_EQ(Run({"ps", "-o", "name"}).out, "web.1\n");
  EXPECT_THAT(Run({"ps", "-o", "json"}).out, StartsWith("{\n  \"instances\": [\n    {\n"));
  EXPECT_THAT(Run({"ps", "-o", "yaml"}).out, StartsWith("instances:\n  - app: web\n"));
  EXPECT_EQ(admin_.calls().front(), "GetCluster app: \"web\"");
}

TEST_F(RunTest, LogsShowWhoSaidItAndWhen) {
  admin_.SayLogs({Parse<v1::LogEntry>("instance: 'web.3' node: 'node-2' time_unix_ms: 36131204 "
                                      "text: 'GET /cart 200'"),
                  Parse<v1::LogEntry>("notice: 'node-1 does not answer'")});
  const Output output = Run({"logs", "web", "--tail", "5"});
  EXPECT_EQ(output.code, 0);
  EXPECT_EQ(output.out, "web.3 node-2 10:02:11.204 GET /cart 200\n");
  EXPECT_EQ(output.err, "ctl: node-1 does not answer\n");
  EXPECT_EQ(admin_.calls().front(), "Logs target: \"web\" tail: 5");
  const Output json = Run({"logs", "-o", "json"});
  EXPECT_EQ(std::count(json.out.begin(), json.out.end(), '\n'), 2) << json.out;
}

TEST_F(RunTest, EventsTellWhatHappened) {
  admin_.SayEvents({Parse<v1::Event>(
      "sequence: 1 time_unix_ms: 36131204 kind: 'instance-exited' app: 'web' instance: 'web.3' "
      "node: 'node-2' message: 'exited with code 1'")});
  EXPECT_EQ(Run({"events", "web"}).out,
            "1970-01-01 10:02:11.204  instance-exited     web.3         node-2      exited with "
            "code 1\n");
  EXPECT_EQ(admin_.calls().front(), "Events app: \"web\" tail: 100");
  Run({"events", "--since", "10m"});
  EXPECT_THAT(admin_.calls().back(), MatchesRegex("Events since_unix_ms: [0-9]+"));
  Run({"events", "--since", "10m", "--tail", "5"});
  EXPECT_THAT(admin_.calls().back(), MatchesRegex("Events tail: 5 since_unix_ms: [0-9]+"));
  EXPECT_THAT(Run({"events", "--since", "yesterday"}).err,
              StartsWith("ctl: --since: \"yesterday\" is not a duration"));
}

TEST_F(RunTest, EventsAreFollowedOverARestartOfTheController) {
  const auto event = [](int number) {
    return Parse<v1::Event>(absl::StrCat("sequence: ", number, " time_unix_ms: ", 1000 * number,
                                         " kind: 'placed' app: 'web' message: 'no ", number, "'"));
  };
  admin_.PlanEventStreams({{{event(1), event(2)}, {grpc::StatusCode::UNAVAILABLE, "shuts down"}},
                           {{event(2), event(3)}, grpc::Status::OK},
                           {{event(3)}, {grpc::StatusCode::INTERNAL, "the end"}}});
  const Output output = Run({"events", "web", "-f", "--tail", "5"});
  EXPECT_EQ(output.code, 1);
  EXPECT_THAT(output.out, MatchesRegex(".*no 1\n.*no 2\n.*no 3\n"));
  EXPECT_THAT(output.err, StartsWith("ctl: the controller went away; waiting for it to return\n"));
  EXPECT_THAT(admin_.calls(), ElementsAre("Events app: \"web\" follow: true tail: 5",
                                          "Events app: \"web\" follow: true since_unix_ms: 2000",
                                          "Events app: \"web\" follow: true since_unix_ms: 3000"));
}

TEST_F(RunTest, AWatchOfAnAppThatIsNotThereIsAnError) {
  admin_.FailAll(grpc::Status(grpc::StatusCode::NOT_FOUND, "no app wbe; there are: web"));
  const Output output = Run({"ps", "wbe", "-w"});
  EXPECT_EQ(output.code, 8);
  EXPECT_EQ(output.err, "ctl: no app wbe; there are: web\n");
  EXPECT_THAT(admin_.calls(), ElementsAre("GetCluster app: \"wbe\""));
}

TEST_F(RunTest, UsageErrorsPointToTheCommandsHelp) {
  EXPECT_EQ(Run({"events", "--tail", "x"}).err,
            "ctl: --tail: \"x\" is not a number (allowed: 0, 1, ...) (see ctl events --help)\n");
  for (const std::string word : {"x", "-1"}) {
    EXPECT_EQ(Run({"scale", "web=1", "--if-generation", word}).err,
              "ctl: --if-generation: \"" + word +
                  "\" is not a number (allowed: 0, 1, ...) (see ctl scale --help)\n");
  }
  EXPECT_THAT(Run({"why"}).err, EndsWith("is required (see ctl why --help)\n"));
  EXPECT_THAT(Run({"scale", "web=x"}).err, EndsWith("(see ctl scale --help)\n"));
  EXPECT_THAT(Run({"ps", "--timeout", "x"}).err, EndsWith("(see ctl ps --help)\n"));
  EXPECT_THAT(Run({"nothing"}).err, EndsWith("(see ctl --help)\n"));
}

TEST_F(RunTest, ARolloutThatIsPausedIsNotWaitedFor) {
  admin_.ShowViews(
      {View("available: 2 outdated: 6 step: 1 steps: 2 rollout: PAUSED "
            "loads { revision: 3 requests: 50 errors: 1 }")});
  const Output output = Run({"rollout", "status", "web"});
  EXPECT_EQ(output.code, 0) << output.err;
  EXPECT_THAT(output.out, StartsWith("web r3 paused in step 1/2: in rotation 2/8, old 6; go on "
                                     "with: ctl rollout resume web\n"));
  EXPECT_THAT(output.out, testing::ContainsRegex("r3 +50 +2.0%"));
  admin_.ShowViews({v1::ClusterView()});
  const Output none = Run({"rollout", "status"});
  EXPECT_EQ(none.code, 8);
  EXPECT_EQ(none.err, "ctl: there is no app yet\n");
}

TEST_F(RunTest, NodesAreCordonedAndTheClusterUnfrozen) {
  EXPECT_EQ(Run({"cordon", "node-2"}).out, "node-2 cordoned\n");
  EXPECT_EQ(Run({"uncordon", "node-2"}).out, "node-2 uncordoned\n");
  EXPECT_EQ(Run({"unfreeze"}).out, "cluster unfrozen\n");
  EXPECT_THAT(admin_.calls(), ElementsAre("Cordon node: \"node-2\" cordoned: true",
                                          "Cordon node: \"node-2\"", "Unfreeze"));
}

TEST_F(RunTest, ADrainWaitsUntilTheNodeIsEmpty) {
  admin_.ShowViews(
      {Parse<v1::ClusterView>("nodes { name: 'node-2' draining: true instances: 1 } "
                              "instances { name: 'web.1' node: 'node-2' state: 'in-rotation' }"),
       Parse<v1::ClusterView>("nodes { name: 'node-2' draining: true }")});
  const Output drained = Run({"drain", "node-2", "--deadline", "10m"});
  EXPECT_EQ(drained.code, 0);
  EXPECT_THAT(drained.out, HasSubstr("node-2 drained"));
  EXPECT_EQ(admin_.calls().front(), "Drain node: \"node-2\" deadline_ms: 600000");
  EXPECT_EQ(Run({"drain", "node-2", "--detach"}).out,
            "node-2 drain accepted, 2 instances to move\n");
  const Output bad = Run({"drain", "node-2", "--deadline", "soon"});
  EXPECT_EQ(bad.code, 2);
  EXPECT_THAT(bad.err, HasSubstr("--deadline: "));
  EXPECT_EQ(Run({"drain"}).code, 2);
}

TEST_F(RunTest, ADrainThatIsNotDoneIsADocument) {
  admin_.ShowViews(
      {Parse<v1::ClusterView>("nodes { name: 'node-2' draining: true instances: 1 } "
                              "instances { name: 'web.1' node: 'node-2' state: 'in-rotation' }")});
  const Output late = Run({"drain", "node-2", "--timeout", "300ms", "-q", "-o", "json"});
  EXPECT_EQ(late.code, 6);
  EXPECT_THAT(late.err, StartsWith("ctl: node-2"));
  EXPECT_THAT(late.out, HasSubstr("\"outcome\": \"timeout\""));
}

TEST_F(RunTest, ARebalanceIsPlannedOrWaitedFor) {
  const std::string table =
      "INSTANCE  FROM    TO      WHY\nweb.3     node-1  node-2  better spread\n";
  EXPECT_EQ(Run({"rebalance", "--plan"}).out, table + "1 to move, 4 at a time\n");
  EXPECT_EQ(Run({"rebalance", "--plan", "-o", "name"}).out, "web.3\n");
  admin_.ShowViews({Parse<v1::ClusterView>("moves_left: 1"), v1::ClusterView()});
  const Output done = Run({"rebalance", "web"});
  EXPECT_EQ(done.code, 0);
  EXPECT_THAT(done.out, HasSubstr(table + "rebalanced"));
  EXPECT_THAT(admin_.calls(), ElementsAre("Rebalance plan: true", "Rebalance plan: true",
                                          "Rebalance app: \"web\"", HasSubstr("WatchCluster")));
}

TEST_F(RunTest, WhyPrintsReasonsAndTheLogThatTellsMore) {
  admin_.SayLogs({Parse<v1::LogEntry>("instance: 'web.3' text: 'no such module'")});
  EXPECT_EQ(Run({"why", "web.9"}).out,
            "web.9 is pending: no node has joined\n  web.3 | no such module\n");
  EXPECT_THAT(admin_.calls(),
              ElementsAre("Why target: \"web.9\"", "Logs target: \"web.3\" tail: 10"));
  EXPECT_THAT(Run({"why", "web.9", "-o", "json"}).out, HasSubstr("\"lines\": ["));
}

TEST_F(RunTest, SpecAndVersion) {
  EXPECT_EQ(Run({"spec", "web"}).out, "name: web\ncommand: [node, server.js]\n");
  const Output version = Run({"version"});
  EXPECT_THAT(version.out, HasSubstr("controller  9.9.9 at " + admin_.address() + ", cluster c1"));
}

TEST_F(RunTest, CompletionScriptsAreValidAndComplete) {
  const TempDir dir;
  for (const std::string shell : {"bash", "zsh", "fish"}) {
    SCOPED_TRACE(shell);
    const Output script = Run({"completion", shell});
    EXPECT_EQ(script.code, 0);
    for (const char* word : {"unfreeze", "replicas", "ctl __complete apps"}) {
      EXPECT_THAT(script.out, HasSubstr(word));
    }
    const std::string file = dir.Write("script." + shell, script.out);
    if (std::system(absl::StrCat("command -v ", shell, " > /dev/null").c_str()) != 0) continue;
    EXPECT_EQ(std::system(absl::StrCat(shell, " -n ", file).c_str()), 0);
  }
}

TEST_F(RunTest, BashCompletesCommandsFlagsAndNames) {
  const TempDir dir;
  const std::string script = dir.Write("ctl.bash", Run({"completion", "bash"}).out);
  const auto complete = [&](const std::string& words, int at) {
    const std::string file =
        dir.Write("try.bash", "ctl() { echo web; }\nsource " + script + "\nCOMP_WORDS=(" + words +
                                  ")\nCOMP_CWORD=" + std::to_string(at) +
                                  "\n_ctl\necho \"${COMPREPLY[*]}\" > " + dir.path() + "/reply\n");
    EXPECT_EQ(std::system(("bash " + file).c_str()), 0);
    std::ifstream reply(dir.path() + "/reply");
    std::string line;
    std::getline(reply, line);
    return line;
  };
  EXPECT_EQ(complete("ctl sc", 1), "scale");
  EXPECT_EQ(complete("ctl -o json sc", 3), "scale");
  EXPECT_EQ(complete("ctl scale w", 2), "web");
  EXPECT_EQ(complete("ctl scale --rep", 2), "--replicas");
  EXPECT_EQ(complete("ctl ps -o js", 3), "json");
  EXPECT_EQ(complete("ctl rollout p", 2), "pause promote");
  EXPECT_EQ(complete("ctl rollout pause w", 3), "web");
  EXPECT_EQ(complete("ctl top i", 2), "instances");
}

TEST_F(RunTest, CompletesNamesOfTheCluster) {
  admin_.ShowViews({Parse<v1::ClusterView>(
      "apps { name: 'web' } apps { name: 'api' } instances { name: 'web.1' } "
      "nodes { name: 'node-1' }")});
  EXPECT_EQ(Run({"__complete", "apps"}).out, "api\nweb\n");
  EXPECT_EQ(Run({"__complete", "targets"}).out, "api\nweb\nweb.1\n");
  EXPECT_EQ(Run({"__complete", "nodes"}).out, "node-1\n");
  EXPECT_EQ(Run({"__complete", "things"}).out, "api\nnode-1\nweb\nweb.1\n");
}

}  // namespace
}  // namespace pando::ctl
