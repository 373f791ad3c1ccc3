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
constexpr size_t kMaxEnvFiles = 16;

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
    {"volumes", "instances see the files of their host"},
    {"working_dir", "it is a directory of the image; set `dir` if the app needs another one"},
};
constexpr const char* kRead[] = {
    "command",           "cpu_reservation", "cpus",        "deploy",  "entrypoint",
    "env_file",          "environment",     "healthcheck", "image",   "mem_limit",
    "mem_reservation",   "pids_limit",      "ports",       "restart", "scale",
    "stop_grace_period", "stop_signal",     "ulimits",     "user"};

class Service {
 public:
  Service(const ImportSource& source, const Variables& variables, const std::string& name, int line,
          const YAML::Node& service)
      : source_(source), variables_(variables), service_(service), draft_(name, line) {}

  absl::StatusOr<ImportedApp> Read() {
    PANDO_RETURN_IF_ERROR(ReadCommand());
    PANDO_RETURN_IF_ERROR(ReadEnvFiles());
    PANDO_RETURN_IF_ERROR(ReadEnvironment());
    PANDO_RETURN_IF_ERROR(ReadReplicas());
    PANDO_RETURN_IF_ERROR(ReadHealth());
    PANDO_RETURN_IF_ERROR(ReadPorts());
    PANDO_RETURN_IF_ERROR(ReadStop());
    PANDO_RETURN_IF_ERROR(ReadResources());
    PANDO_RETURN_IF_ERROR(ReadUser());
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
      if (name == "PORT") own_port_ = *value;
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
    if (test) PANDO_RETURN_IF_ERROR(ReadTest(test));
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

  // ["CMD", program, ...], ["CMD-SHELL", text] or a text.
  absl::Status ReadTest(const YAML::Node& test) {
    std::vector<std::string> command;
    if (test.IsSequence()) {
      PANDO_ASSIGN_OR_RETURN(command, Words(test, "healthcheck.test"));
      const std::string kind = command.empty() ? "" : command.front();
      if (kind != "CMD" && kind != "CMD-SHELL") {
        return Bad(test, "healthcheck.test", "is neither [CMD, ...] nor [CMD-SHELL, ...]");
      }
      command.erase(command.begin());
      if (kind == "CMD-SHELL") command = {"/bin/sh", "-c", absl::StrJoin(command, " ")};
    } else {
      PANDO_ASSIGN_OR_RETURN(const std::string text, Text(test, "healthcheck.test"));
      command = {"/bin/sh", "-c", text};
    }
    if (command.empty() || command.front().empty()) {
      return Bad(test, "healthcheck.test", "is empty");
    }
    if (const auto path = PathOfOwnUrl(absl::StrJoin(command, " "))) {
      draft_.SetText("health.path", *path);
      draft_.Note(LineOf(test), absl::StrCat("healthcheck.test is taken as GET ", *path,
                                             " on the instance's port: its tool is not run"));
    } else {
      draft_.SetTexts("health.command", command);
      draft_.Note(
          LineOf(test),
          "healthcheck.test is run on the host: its program has to be there, and it has to ask "
          "at $PORT");
    }
    return absl::OkStatus();
  }

  // The port inside: "8080:3000", "127.0.0.1:8080:3000/tcp", 3000. 0: not one that is known.
  static uint32_t InnerPort(std::string_view text) {
    text = text.substr(0, text.find('/'));
    uint32_t port = 0;
    const size_t colon = text.rfind(':');
    const std::string inner(text.substr(colon == std::string_view::npos ? 0 : colon + 1));
    return absl::SimpleAtoi(inner, &port) && port <= 65'535 ? port : 0;
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
    const std::string what = absl::StrCat("ports: ", absl::StrJoin(written, ", "));
    const uint32_t inner = written.empty() ? 0 : InnerPort(written.front());
    if (inner == 0 || absl::StrCat(inner) == own_port_) {
      draft_.Note(LineOf(ports),
                  absl::StrCat(what,
                               " is left out: the app listens on $PORT; users come through "
                               "the gateway, by default on 8080"));
      return absl::OkStatus();
    }
    draft_.SetWhole(LineOf(ports), "port.fixed", inner, 1, 65'535);
    draft_.Note(LineOf(ports),
                absl::StrCat(what, " is taken as port.fixed, the port the app has in its code",
                             written.size() > 1 ? " (the first only)" : "",
                             "; users come through the gateway, by default on 8080"));
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

  // Of deploy.resources; the short keys are limits.
  YAML::Node Resource(const char* kind, const char* name, const char* short_key) const {
    const YAML::Node deploy = service_["deploy"];
    if (deploy && deploy["resources"] && deploy["resources"][kind]) {
      const YAML::Node value = deploy["resources"][kind][name];
      if (value) return value;
    }
    return service_[short_key];
  }

  absl::Status SetMemory(const YAML::Node& value, std::string_view key) {
    if (!value) return absl::OkStatus();
    PANDO_ASSIGN_OR_RETURN(const std::string text, Text(value, "memory"));
    const auto bytes = ParseBytes(text);
    if (!bytes) return Bad(value, "memory", absl::StrCat(text, " is not a size"));
    draft_.SetMemory(LineOf(value), key, *bytes);
    return absl::OkStatus();
  }

  absl::Status SetCpus(const YAML::Node& value, std::string_view key) {
    if (!value) return absl::OkStatus();
    PANDO_ASSIGN_OR_RETURN(const std::string text, Text(value, "cpus"));
    double number = 0;
    if (!absl::SimpleAtod(text, &number) || number < 0.01 || number > 1'024) {
      return Bad(value, "cpus", absl::StrCat(text, " is not a number of CPUs (0.01 to 1024)"));
    }
    draft_.SetText(key, absl::StrCat(static_cast<int>(number * 1'000), "m"));
    return absl::OkStatus();
  }

  absl::Status SetCount(const YAML::Node& value, const char* key, std::string_view spec_key,
                        int64_t min, int64_t max) {
    if (!value) return absl::OkStatus();
    PANDO_ASSIGN_OR_RETURN(const std::string text, Text(value, key));
    int64_t count = 0;
    if (!absl::SimpleAtoi(text, &count)) {
      return Bad(value, key, absl::StrCat(text, " is not a number"));
    }
    if (count > 0) draft_.SetWhole(LineOf(value), spec_key, count, min, max);  // else unlimited
    return absl::OkStatus();
  }

  absl::Status ReadResources() {
    PANDO_RETURN_IF_ERROR(
        SetCpus(Resource("reservations", "cpus", "cpu_reservation"), "resources.cpu"));
    PANDO_RETURN_IF_ERROR(
        SetMemory(Resource("reservations", "memory", "mem_reservation"), "resources.memory"));
    PANDO_RETURN_IF_ERROR(SetCpus(Resource("limits", "cpus", "cpus"), "resources.max_cpu"));
    PANDO_RETURN_IF_ERROR(
        SetMemory(Resource("limits", "memory", "mem_limit"), "resources.max_memory"));
    PANDO_RETURN_IF_ERROR(SetCount(Resource("limits", "pids", "pids_limit"), "pids_limit",
                                   "resources.max_processes", 1, 4'194'304));
    const YAML::Node limits = service_["ulimits"];
    if (!limits || !limits.IsMap()) return absl::OkStatus();
    for (const auto& entry : limits) {
      const std::string name = entry.first.Scalar();
      if (name != "nofile") {
        draft_.Note(LineOf(entry.first),
                    absl::StrCat("ulimits.", name, " is left out: it has no counterpart"));
        continue;
      }
      const YAML::Node& value = entry.second;
      PANDO_RETURN_IF_ERROR(SetCount(value.IsMap() ? value["soft"] : value, "ulimits.nofile",
                                     "resources.max_open_files", 16, 1'048'576));
    }
    return absl::OkStatus();
  }

  // "user", "user:group".
  absl::Status ReadUser() {
    const YAML::Node user = service_["user"];
    if (!user) return absl::OkStatus();
    PANDO_ASSIGN_OR_RETURN(const std::string text, Text(user, "user"));
    const size_t colon = text.find(':');
    if (colon != 0 && !text.empty()) draft_.SetText("isolation.user", text.substr(0, colon));
    if (colon != std::string::npos && colon + 1 < text.size()) {
      draft_.SetText("isolation.group", text.substr(colon + 1));
    }
    draft_.Note(LineOf(user), absl::StrCat("user: ", text,
                                           " is a user of the host here, not of the image; it "
                                           "needs an agent that runs as root"));
    return absl::OkStatus();
  }

  // A text, or a list of texts and of {path, required}.
  absl::Status ReadEnvFiles() {
    const YAML::Node files = service_["env_file"];
    if (!files) return absl::OkStatus();
    std::vector<std::string> paths;
    const auto add = [&](const YAML::Node& file) {
      const YAML::Node path = file.IsMap() ? file["path"] : file;
      if (!path) return Bad(file, "env_file", "has no path");
      auto text = Text(path, "env_file");
      if (!text.ok()) return text.status();
      paths.push_back(absl::StartsWith(*text, "./") ? text->substr(2) : *text);
      return absl::OkStatus();
    };
    if (files.IsSequence()) {
      for (const YAML::Node& file : files) PANDO_RETURN_IF_ERROR(add(file));
    } else {
      PANDO_RETURN_IF_ERROR(add(files));
    }
    if (paths.empty()) return absl::OkStatus();
    if (paths.size() > kMaxEnvFiles) {
      return Bad(files, "env_file", "is a list of more than 16 files, which a spec cannot have");
    }
    draft_.SetTexts("env_files", paths);
    draft_.Note(LineOf(files),
                "env_file is taken as env_files: the files have to be on the hosts, in `dir`");
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
  std::string own_port_;  // PORT of its environment
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
