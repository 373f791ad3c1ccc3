// A compose file: its services that are processes of one's own, not images of others.
#include <algorithm>
#include <iterator>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/base/status_macros.h"
#include "ctl/import/draft.h"
#include "ctl/import/import.h"
#include "ctl/import/probe_url.h"
#include "ctl/import/words.h"

namespace pando::ctl {
namespace {

constexpr int64_t kMinuteMs = 60'000;
constexpr int64_t kHourMs = 60 * kMinuteMs;
constexpr int64_t kDayMs = 24 * kHourMs;

// Keys of a service without a counterpart, and why, or what does it instead. "": of no matter here.
struct LeftOut {
  const char* key;
  const char* why;
};
constexpr LeftOut kLeftOut[] = {
    {"attach", ""},
    {"build", "nothing is built: the code has to be on the hosts, in `dir`"},
    {"container_name", "instances are called NAME.1, NAME.2, ..."},
    {"depends_on", "apps start independently; one has to bear that another is not there yet"},
    {"develop", "files are not watched; ctl restart takes up changes"},
    {"env_file", "put its variables into env"},
    {"expose", ""},
    {"init", ""},
    {"labels", "nothing reads labels of an app"},
    {"links", "apps reach each other through the gateway, not by service names"},
    {"logging", "logs are kept by the agent, see ctl logs"},
    {"network_mode", "instances run in the network of their host"},
    {"networks", "instances run in the network of their host, not reached by service names"},
    {"profiles", "all apps of a file are applied"},
    {"pull_policy", ""},
    {"secrets", "instances read files of their host"},
    {"stdin_open", ""},
    {"tty", ""},
    {"user", "instances run as the agent's user"},
    {"volumes", "instances see the files of their host"},
    {"working_dir", "it is a directory of the image; set `dir` if the app needs another one"},
};
constexpr const char* kRead[] = {
    "command",   "cpus",  "deploy",  "entrypoint", "environment", "healthcheck",       "image",
    "mem_limit", "ports", "restart", "scale",      "stop_signal", "stop_grace_period",
};

class Service {
 public:
  Service(const ImportSource& source, const Variables& variables, const std::string& name, int line,
          const YAML::Node& service)
      : source_(source), variables_(variables), service_(service), draft_(name, line) {}

  absl::StatusOr<ImportedApp> Read() {
    PANDO_RETURN_IF_ERROR(ReadCommand());
    PANDO_RETURN_IF_ERROR(ReadEnvironment());
    PANDO_RETURN_IF_ERROR(ReadReplicas());
    PANDO_RETURN_IF_ERROR(ReadHealth());
    PANDO_RETURN_IF_ERROR(ReadPorts());
    PANDO_RETURN_IF_ERROR(ReadStop());
    PANDO_RETURN_IF_ERROR(ReadResources());
    PANDO_RETURN_IF_ERROR(ReadRestart());
    TellTheRest();
    if (!missing_.empty()) {
      std::set<std::string> names(missing_.begin(), missing_.end());
      draft_.Note(
          0, absl::StrCat("without a value here, so taken as empty: ", absl::StrJoin(names, ", ")));
    }
    return std::move(draft_).Take();
  }

 private:
  absl::Status Bad(const YAML::Node& value, std::string_view key, std::string_view problem) const {
    return ImportError(source_, LineOf(value),
                       absl::StrCat("services.", draft_.name(), ".", std::string(key), ": ",
                                    std::string(problem)));
  }

  // The text of a scalar, variables put in.
  absl::StatusOr<std::string> Text(const YAML::Node& value, std::string_view key) {
    if (!value.IsScalar()) return Bad(value, key, "is not a text");
    auto text = Interpolate(value.Scalar(), variables_, missing_);
    if (!text.ok()) return Bad(value, key, std::string(text.status().message()));
    return text;
  }

  // A list, or a text that is split into words.
  absl::StatusOr<std::vector<std::string>> Words(const YAML::Node& value, std::string_view key) {
    std::vector<std::string> words;
    if (value.IsSequence()) {
      for (const YAML::Node& word : value) {
        PANDO_ASSIGN_OR_RETURN(std::string text, Text(word, key));
        words.push_back(std::move(text));
      }
      return words;
    }
    PANDO_ASSIGN_OR_RETURN(const std::string text, Text(value, key));
    auto split = SplitWords(text);
    if (!split.ok()) return Bad(value, key, std::string(split.status().message()));
    return split;
  }

  absl::StatusOr<int64_t> MillisOf(const YAML::Node& value, std::string_view key) {
    PANDO_ASSIGN_OR_RETURN(const std::string text, Text(value, key));
    absl::Duration duration;
    if (!absl::ParseDuration(text, &duration) || duration < absl::ZeroDuration()) {
      return Bad(value, key, absl::StrCat(text, " is not a duration (for example 1m30s)"));
    }
    return absl::ToInt64Milliseconds(duration);
  }

  absl::Status SetDuration(const YAML::Node& value, std::string_view key, std::string_view spec_key,
                           int64_t min, int64_t max) {
    if (!value) return absl::OkStatus();
    PANDO_ASSIGN_OR_RETURN(const int64_t millis, MillisOf(value, key));
    draft_.SetDuration(LineOf(value), spec_key, millis, min, max);
    return absl::OkStatus();
  }

  absl::Status ReadCommand() {
    std::vector<std::string> words;
    for (const char* key : {"entrypoint", "command"}) {
      const YAML::Node value = service_[key];
      if (!value || value.IsNull()) continue;
      PANDO_ASSIGN_OR_RETURN(const auto more, Words(value, key));
      words.insert(words.end(), more.begin(), more.end());
    }
    if (words.empty() || words.front().empty()) return Bad(service_, "command", "is empty");
    draft_.SetCommand(words);
    if (const YAML::Node image = service_["image"]) {
      PANDO_ASSIGN_OR_RETURN(const std::string text, Text(image, "image"));
      draft_.Note(
          LineOf(image),
          absl::StrCat("image: ", text, " is not used: its programs have to be on the hosts"));
    }
    return absl::OkStatus();
  }

  absl::Status ReadEnvironment() {
    const YAML::Node environment = service_["environment"];
    if (!environment) return absl::OkStatus();
    for (const auto& entry : environment) {
      const bool in_list = environment.IsSequence();
      const YAML::Node& at = in_list ? static_cast<const YAML::Node&>(entry) : entry.first;
      if (!at.IsScalar()) return Bad(at, "environment", "is not NAME=VALUE");
      std::string name = at.Scalar();
      std::optional<std::string> value;
      if (in_list) {
        PANDO_ASSIGN_OR_RETURN(const std::string text, Text(at, "environment"));
        const size_t equals = text.find('=');
        name = text.substr(0, equals);
        if (equals != std::string::npos) value = text.substr(equals + 1);
      } else if (!entry.second.IsNull()) {
        PANDO_ASSIGN_OR_RETURN(value, Text(entry.second, "environment"));
      }
      if (!value) {
        draft_.Note(LineOf(at), absl::StrCat("environment.", name,
                                             " is left out: the value it has where compose runs is "
                                             "not taken; write it into env"));
        continue;
      }
      draft_.AddEnv(LineOf(at), absl::StrCat("environment.", name), name, *value);
    }
    return absl::OkStatus();
  }

  absl::Status ReadReplicas() {
    const YAML::Node deploy = service_["deploy"];
    const bool in_deploy = deploy && deploy["replicas"];
    const YAML::Node value = in_deploy ? deploy["replicas"] : service_["scale"];
    const char* key = in_deploy ? "deploy.replicas" : "scale";
    if (!value) return absl::OkStatus();
    PANDO_ASSIGN_OR_RETURN(const std::string text, Text(value, key));
    int64_t replicas = 0;
    if (!absl::SimpleAtoi(text, &replicas)) {
      return Bad(value, key, absl::StrCat(text, " is not a number"));
    }
    draft_.SetReplicas(LineOf(value), key, replicas);
    return absl::OkStatus();
  }

  absl::Status ReadHealth() {
    const YAML::Node check = service_["healthcheck"];
    if (!check) return absl::OkStatus();
    const YAML::Node test = check["test"];
    const YAML::Node disable = check["disable"];
    if ((disable && disable.Scalar() == "true") ||
        (test && test.IsSequence() && test.size() > 0 && test[0].Scalar() == "NONE")) {
      draft_.Note(LineOf(check), "healthcheck is off: an instance is ready when its port accepts");
      return absl::OkStatus();
    }
    if (test) {
      std::string command;
      if (test.IsSequence()) {
        PANDO_ASSIGN_OR_RETURN(const auto words, Words(test, "healthcheck.test"));
        command = absl::StrJoin(words, " ");
      } else {
        PANDO_ASSIGN_OR_RETURN(command, Text(test, "healthcheck.test"));
      }
      ReadTest(test, command);
    }
    PANDO_RETURN_IF_ERROR(
        SetDuration(check["interval"], "healthcheck.interval", "health.interval", 10, kHourMs));
    PANDO_RETURN_IF_ERROR(
        SetDuration(check["timeout"], "healthcheck.timeout", "health.timeout", 10, kMinuteMs));
    PANDO_RETURN_IF_ERROR(SetDuration(check["start_period"], "healthcheck.start_period",
                                      "health.startup", 100, kHourMs));
    if (const YAML::Node retries = check["retries"]) {
      PANDO_ASSIGN_OR_RETURN(const std::string text, Text(retries, "healthcheck.retries"));
      int64_t count = 0;
      if (!absl::SimpleAtoi(text, &count)) {
        return Bad(retries, "healthcheck.retries", absl::StrCat(text, " is not a number"));
      }
      draft_.SetWhole(LineOf(retries), "health.unhealthy", count, 1, 100);
    }
    return absl::OkStatus();
  }

  void ReadTest(const YAML::Node& test, const std::string& command) {
    if (const auto path = PathOfOwnUrl(command)) {
      draft_.SetText("health.path", *path);
      draft_.Note(LineOf(test), absl::StrCat("healthcheck.test is taken as GET ", *path,
                                             " on the instance's port: its tool is not run"));
    } else {
      draft_.Note(LineOf(test), absl::StrCat("healthcheck.test is left out: an instance is ready "
                                             "when its port accepts; was ",
                                             command));
    }
  }

  absl::Status ReadPorts() {
    const YAML::Node ports = service_["ports"];
    if (!ports) return absl::OkStatus();
    std::vector<std::string> written;
    for (const YAML::Node& port : ports) {
      if (port.IsMap()) {
        const YAML::Node target = port["target"];
        const YAML::Node published = port["published"];
        written.push_back(absl::StrCat(published ? published.Scalar() + ":" : "",
                                       target ? target.Scalar() : "?"));
      } else {
        PANDO_ASSIGN_OR_RETURN(std::string text, Text(port, "ports"));
        written.push_back(std::move(text));
      }
    }
    draft_.Note(LineOf(ports),
                absl::StrCat("ports: ", absl::StrJoin(written, ", "),
                             " is left out: the app has to listen on $PORT; users come through the "
                             "gateway, by default on 8080"));
    return absl::OkStatus();
  }

  absl::Status ReadStop() {
    if (const YAML::Node signal = service_["stop_signal"]) {
      PANDO_ASSIGN_OR_RETURN(std::string text, Text(signal, "stop_signal"));
      if (!absl::StartsWith(text, "SIG")) text.insert(0, "SIG");
      static constexpr const char* kSignals[] = {"SIGTERM", "SIGINT",  "SIGQUIT", "SIGHUP",
                                                 "SIGUSR1", "SIGUSR2", "SIGKILL"};
      if (std::find(std::begin(kSignals), std::end(kSignals), text) != std::end(kSignals)) {
        draft_.SetText("stop.signal", text);
      } else {
        draft_.Note(LineOf(signal), absl::StrCat("stop_signal: ", text, " is left out (allowed: ",
                                                 absl::StrJoin(kSignals, ", "), ")"));
      }
    }
    return SetDuration(service_["stop_grace_period"], "stop_grace_period", "stop.grace", 0, kDayMs);
  }

  // What is reserved is what an instance is placed by; without it, what it may use.
  YAML::Node Resource(const char* name, const char* short_key) const {
    const YAML::Node deploy = service_["deploy"];
    if (!deploy || !deploy["resources"]) return service_[short_key];
    for (const char* kind : {"reservations", "limits"}) {
      const YAML::Node part = deploy["resources"][kind];
      if (part && part[name]) return part[name];
    }
    return service_[short_key];
  }

  absl::Status ReadResources() {
    const YAML::Node memory = Resource("memory", "mem_limit");
    const YAML::Node cpus = Resource("cpus", "cpus");
    if (memory) {
      PANDO_ASSIGN_OR_RETURN(const std::string text, Text(memory, "memory"));
      const auto bytes = ParseBytes(text);
      if (!bytes) return Bad(memory, "memory", absl::StrCat(text, " is not a size"));
      draft_.SetMemory(LineOf(memory), "resources.memory", *bytes);
    }
    if (cpus) {
      PANDO_ASSIGN_OR_RETURN(const std::string text, Text(cpus, "cpus"));
      double number = 0;
      if (!absl::SimpleAtod(text, &number) || number < 0.001 || number > 1'024) {
        return Bad(cpus, "cpus", absl::StrCat(text, " is not a number of CPUs"));
      }
      draft_.SetText("resources.cpu", absl::StrCat(static_cast<int>(number * 1'000), "m"));
    }
    if (memory || cpus) {
      draft_.Note(LineOf(memory ? memory : cpus),
                  "limits are taken as resources, which is what an instance is placed by, not a "
                  "limit");
    }
    return absl::OkStatus();
  }

  absl::Status ReadRestart() {
    const YAML::Node restart = service_["restart"];
    if (!restart) return absl::OkStatus();
    PANDO_ASSIGN_OR_RETURN(const std::string text, Text(restart, "restart"));
    if (text == "no" || text == "false" || absl::StartsWith(text, "on-failure")) {
      draft_.Note(LineOf(restart), absl::StrCat("restart: ", text,
                                                " has no counterpart: what ends is started again"));
    }
    return absl::OkStatus();
  }

  void TellTheRest() {
    for (const auto& entry : service_) {
      const std::string key = entry.first.Scalar();
      if (absl::StartsWith(key, "x-") || key == "<<" ||
          std::find(std::begin(kRead), std::end(kRead), key) != std::end(kRead)) {
        continue;
      }
      const auto* left_out = std::find_if(std::begin(kLeftOut), std::end(kLeftOut),
                                          [&](const LeftOut& l) { return key == l.key; });
      const char* why = left_out != std::end(kLeftOut) ? left_out->why : "it has no counterpart";
      if (*why != '\0') {
        draft_.Note(LineOf(entry.first), absl::StrCat(key, " is left out: ", why));
      }
    }
    if (const YAML::Node deploy = service_["deploy"]; deploy && deploy.IsMap()) {
      for (const auto& entry : deploy) {
        const std::string key = entry.first.Scalar();
        if (key == "replicas" || key == "resources") continue;
        draft_.Note(LineOf(entry.first),
                    absl::StrCat("deploy.", key, " is left out: it has no counterpart"));
      }
    }
  }

  const ImportSource& source_;
  const Variables& variables_;
  const YAML::Node service_;
  AppDraft draft_;
  std::vector<std::string> missing_;
};

// "<<" puts in the keys of another map (YAML 1.1; the library leaves it to us), at every depth.
YAML::Node Merged(const YAML::Node& node, int depth = 0) {
  if (!node.IsMap() || depth > 20) return node;
  YAML::Node merged(YAML::NodeType::Map);
  bool changed = false;
  for (const auto& entry : node) {
    const YAML::Node value = Merged(entry.second, depth + 1);
    changed |= entry.first.Scalar() == "<<" || !value.is(entry.second);
    if (entry.first.Scalar() != "<<") merged[entry.first] = value;
  }
  if (!changed) return node;  // keeps the line it was on
  const YAML::Node from = node["<<"];
  const auto put_in = [&](const YAML::Node& map) {
    if (!map.IsMap()) return;
    for (const auto& entry : Merged(map, depth + 1)) {
      if (!merged[entry.first.Scalar()]) merged[entry.first] = entry.second;
    }
  };
  if (from && from.IsSequence()) {
    for (const YAML::Node& map : from) put_in(map);
  } else if (from) {
    put_in(from);
  }
  return merged;
}

bool HasValue(const YAML::Node& service, const char* key) {
  const YAML::Node value = service[key];
  return value && !value.IsNull();
}

absl::StatusOr<Import> ReadServices(const ImportSource& source, const Variables& variables,
                                    const YAML::Node& root) {
  const YAML::Node services = root.IsMap() ? root["services"] : YAML::Node();
  if (!services || !services.IsMap() || services.size() == 0) {
    return ImportError(source, 0, "has no services");
  }
  Import import;
  for (const auto& entry : services) {
    const std::string name = entry.first.Scalar();
    const int line = LineOf(entry.first);
    if (!entry.second.IsMap()) {
      return ImportError(source, line, absl::StrCat("services.", name, ": is not a map"));
    }
    const YAML::Node service = Merged(entry.second);
    if (!HasValue(service, "command") && !HasValue(service, "entrypoint")) {
      import.notes.push_back(
          {line, HasValue(service, "build")
                     ? absl::StrCat(name,
                                    " is left out: what it starts is said in its Dockerfile; "
                                    "give it a command")
                     : absl::StrCat(name, " is left out: it is an image (",
                                    HasValue(service, "image") ? service["image"].Scalar() : "none",
                                    "), not a process of its own; run it as before")});
      continue;
    }
    PANDO_ASSIGN_OR_RETURN(ImportedApp app, Service(source, variables, name, line, service).Read());
    import.apps.push_back(std::move(app));
  }
  for (const auto& entry : root) {
    const std::string key = entry.first.Scalar();
    if (key == "services" || key == "version" || key == "name" || absl::StartsWith(key, "x-")) {
      continue;
    }
    import.notes.push_back(
        {LineOf(entry.first), absl::StrCat(key, " is left out: it has no counterpart")});
  }
  if (import.apps.empty()) {
    return ImportError(source, 0,
                       "has no service with a command or an entrypoint: nothing to run without its "
                       "image");
  }
  Finish(import);
  return import;
}

}  // namespace

absl::StatusOr<Import> ImportCompose(const ImportSource& source, const Variables& variables) {
  return OnYamlOf(source,
                  [&](const YAML::Node& root) { return ReadServices(source, variables, root); });
}

}  // namespace pando::ctl
