// PM2's ecosystem file: what `module.exports` is, as JSON or YAML.
#include <algorithm>
#include <filesystem>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "ctl/import/draft.h"
#include "ctl/import/import.h"
#include "ctl/import/words.h"

namespace pando::ctl {
namespace {

constexpr int64_t kHourMs = 3'600'000;
constexpr int64_t kDayMs = 24 * kHourMs;

// Keys without a counterpart, and why, or what does it instead. "": of no matter here.
struct LeftOut {
  const char* key;
  const char* why;
};
constexpr LeftOut kLeftOut[] = {
    {"append_env_to_name", "a spec has one name"},
    {"automation", ""},
    {"combine_logs", ""},
    {"cron", "nothing is restarted by the clock; let cron call ctl restart"},
    {"cron_restart", "nothing is restarted by the clock; let cron call ctl restart"},
    {"disable_logs", "logs are always kept, within bounds"},
    {"disable_source_map_support", ""},
    {"err_file", "logs are kept by the agent, see ctl logs"},
    {"err_log", "logs are kept by the agent, see ctl logs"},
    {"error", "logs are kept by the agent, see ctl logs"},
    {"error_file", "logs are kept by the agent, see ctl logs"},
    {"filter_env", "little of the agent's environment is passed on"},
    {"force", ""},
    {"ignore_watch", ""},
    {"increment_var", "use NODE_APP_INSTANCE"},
    {"instance_var", "the instance's number is in NODE_APP_INSTANCE"},
    {"log", "logs are kept by the agent, see ctl logs"},
    {"log_date_format", "each line of a log has its time"},
    {"log_file", "logs are kept by the agent, see ctl logs"},
    {"log_type", "each line of a log has its time; ctl logs -o json prints JSON"},
    {"max_restarts", "an instance is started again as often as it ends, see restart.max_backoff"},
    {"merge_logs", ""},
    {"namespace", "there are no groups of apps"},
    {"out", "logs are kept by the agent, see ctl logs"},
    {"out_file", "logs are kept by the agent, see ctl logs"},
    {"out_log", "logs are kept by the agent, see ctl logs"},
    {"output", "logs are kept by the agent, see ctl logs"},
    {"pid", "ctl ps shows instances"},
    {"pid_file", "ctl ps shows instances"},
    {"pmx", ""},
    {"post_update", "nothing is run beside an app"},
    {"shutdown_with_message", "an app is told to stop by stop.signal"},
    {"source_map_support", "add --enable-source-maps to the command"},
    {"stop_exit_codes", "an instance is started again whatever it ends with"},
    {"time", ""},
    {"treekill", ""},
    {"vizion", ""},
    {"wait_ready", "an instance is ready when its health check passes, not by process.send"},
    {"watch", "files are not watched; ctl restart takes up changes"},
    {"watch_delay", ""},
};

struct Interpreter {
  const char* extension;
  const char* program;
};
constexpr Interpreter kInterpreters[] = {
    {".js", "node"},    {".cjs", "node"},    {".mjs", "node"},      {".py", "python3"},
    {".rb", "ruby"},    {".pl", "perl"},     {".php", "php"},       {".sh", "bash"},
    {".ts", "ts-node"}, {".tsx", "ts-node"}, {".coffee", "coffee"}, {".ls", "lsc"},
};

class Pm2App {
 public:
  Pm2App(const ImportSource& source, const YAML::Node& app, const std::string& environment)
      : source_(source), app_(app), environment_(environment), draft_(RawName(), LineOf(app)) {}

  absl::StatusOr<ImportedApp> Read() {
    PANDO_RETURN_IF_ERROR(ReadCommand());
    if (const YAML::Node cwd = Get({"cwd"})) draft_.SetDir(cwd.Scalar(), source_.dir);
    PANDO_RETURN_IF_ERROR(ReadEnv());
    PANDO_RETURN_IF_ERROR(ReadInstances());
    ReadListening();
    PANDO_RETURN_IF_ERROR(ReadStop());
    PANDO_RETURN_IF_ERROR(ReadMemory());
    ReadUser();
    PANDO_RETURN_IF_ERROR(ReadRestart());
    TellTheRest();
    return std::move(draft_).Take();
  }

 private:
  // The value of the first of these names that has one.
  YAML::Node Get(std::initializer_list<const char*> keys) const {
    for (const char* key : keys) {
      const YAML::Node value = app_[key];
      if (value && !value.IsNull()) return value;
    }
    return YAML::Node(YAML::NodeType::Undefined);
  }

  absl::Status Bad(const YAML::Node& value, const char* key, std::string_view allowed) const {
    const std::string text = value.IsScalar() ? value.Scalar() : "this";
    return ImportError(
        source_, LineOf(value),
        absl::StrCat(draft_.name(), ".", key, ": ", text, " is not ", std::string(allowed)));
  }

  std::string RawName() const {
    if (const YAML::Node name = Get({"name"})) return name.Scalar();
    const YAML::Node script = Get({"script", "cmd", "command"});
    return script ? std::filesystem::path(script.Scalar()).stem().string() : "app";
  }

  // A list, or a text that is split as a shell would.
  absl::StatusOr<std::vector<std::string>> Words(std::initializer_list<const char*> keys) const {
    const YAML::Node value = Get(keys);
    std::vector<std::string> words;
    if (!value) return words;
    if (value.IsScalar()) {
      auto split = SplitWords(value.Scalar());
      if (!split.ok()) return Bad(value, *keys.begin(), std::string(split.status().message()));
      return split;
    }
    for (const YAML::Node& word : value) {
      if (!word.IsScalar()) return Bad(value, *keys.begin(), "a list of texts");
      words.push_back(word.Scalar());
    }
    return words;
  }

  absl::Status ReadCommand() {
    const YAML::Node script = Get({"script", "cmd", "command"});
    if (!script || !script.IsScalar() || script.Scalar().empty()) {
      return ImportError(source_, LineOf(app_),
                         absl::StrCat(draft_.name(), ": script is missing (what PM2 starts)"));
    }
    const std::string& path = script.Scalar();
    PANDO_ASSIGN_OR_RETURN(const auto args, Words({"args"}));
    if (absl::StrContains(path, ' ')) {  // PM2 gives it to bash
      std::string text = path;
      for (const std::string& arg : args) absl::StrAppend(&text, " ", arg);
      draft_.SetShellCommand(text);
      return absl::OkStatus();
    }
    std::vector<std::string> words;
    const std::string extension = std::filesystem::path(path).extension().string();
    const auto known = std::find_if(std::begin(kInterpreters), std::end(kInterpreters),
                                    [&](const Interpreter& i) { return extension == i.extension; });
    if (const YAML::Node chosen = Get({"interpreter", "exec_interpreter"})) {
      if (chosen.Scalar() != "none") words.push_back(chosen.Scalar());
    } else if (known != std::end(kInterpreters)) {
      words.emplace_back(known->program);
    } else if (absl::StrContains(path, '/')) {
      draft_.Note(LineOf(script), absl::StrCat("script: ", path,
                                               " is run as a program; put its interpreter in front "
                                               "of it in command if it needs one"));
    }
    if (!words.empty()) {
      PANDO_ASSIGN_OR_RETURN(const auto options,
                             Words({"interpreter_args", "node_args", "interpreterArgs"}));
      words.insert(words.end(), options.begin(), options.end());
    }
    words.push_back(path);
    words.insert(words.end(), args.begin(), args.end());
    draft_.SetCommand(words);
    return absl::OkStatus();
  }

  absl::Status ReadEnv() {
    std::vector<std::string> keys = {"env"};
    if (!environment_.empty()) keys.push_back(absl::StrCat("env_", environment_));
    for (const std::string& key : keys) {
      const YAML::Node env = app_[key];
      if (!env) {
        if (key != "env") draft_.Note(LineOf(app_), absl::StrCat("has no ", key));
        continue;
      }
      if (!env.IsMap()) return Bad(env, key.c_str(), "a map of variables");
      for (const auto& variable : env) {
        const std::string name = variable.first.Scalar();
        if (variable.second.IsNull()) continue;  // JSON of undefined or NaN
        if (!variable.second.IsScalar()) {
          draft_.Note(LineOf(variable.second),
                      absl::StrCat(key, ".", name, " is left out: it is not a text"));
          continue;
        }
        draft_.AddEnv(LineOf(variable.second), absl::StrCat(key, ".", name), name,
                      variable.second.Scalar());
      }
    }
    return absl::OkStatus();
  }

  absl::Status ReadInstances() {
    const YAML::Node instances = Get({"instances"});
    if (!instances) return absl::OkStatus();
    int64_t count = 0;
    if (instances.Scalar() != "max" && !absl::SimpleAtoi(instances.Scalar(), &count)) {
      return Bad(instances, "instances", "a number or \"max\"");
    }
    if (count > 0) {
      draft_.SetReplicas(LineOf(instances), "instances", count);
    } else {
      draft_.Note(
          LineOf(instances),
          absl::StrCat("instances: ", instances.Scalar(),
                       " is as many as a host has CPUs: set replicas to the number you want "
                       "on all hosts together"));
    }
    return absl::OkStatus();
  }

  void ReadListening() {
    const YAML::Node mode = Get({"exec_mode"});
    if (mode && absl::StartsWith(mode.Scalar(), "cluster")) {
      draft_.Note(
          LineOf(mode),
          "exec_mode: cluster shares one port between instances; here each has to listen on "
          "its own, process.env.PORT");
    }
    if (const YAML::Node port = Get({"port"})) {
      draft_.AddEnv(LineOf(port), "port", "PORT", port.Scalar());
    }
  }

  // Milliseconds, as PM2 has them; it also takes texts of digits.
  absl::StatusOr<std::optional<int64_t>> MillisOf(const char* key) const {
    const YAML::Node value = Get({key});
    if (!value) return std::optional<int64_t>();
    int64_t millis = 0;
    if (!value.IsScalar() || !absl::SimpleAtoi(value.Scalar(), &millis) || millis < 0) {
      return Bad(value, key, "a number of milliseconds");
    }
    return std::optional<int64_t>(millis);
  }

  absl::Status ReadStop() {
    // PM2 ends processes with SIGINT: an app may know no other signal.
    draft_.SetText("stop.signal", "SIGINT");
    PANDO_ASSIGN_OR_RETURN(const auto grace, MillisOf("kill_timeout"));
    if (grace) draft_.SetDuration(LineOf(app_), "stop.grace", *grace, 0, kDayMs);
    PANDO_ASSIGN_OR_RETURN(const auto listen, MillisOf("listen_timeout"));
    if (listen) draft_.SetDuration(LineOf(app_), "health.startup", *listen, 100, kHourMs);
    return absl::OkStatus();
  }

  absl::Status ReadMemory() {
    const YAML::Node limit = Get({"max_memory_restart"});
    if (!limit) return absl::OkStatus();
    const auto bytes = ParseBytes(limit.Scalar());
    if (!bytes) return Bad(limit, "max_memory_restart", "a size, for example 300M");
    draft_.SetMemory(LineOf(limit), "resources.max_memory", *bytes);
    draft_.Note(
        LineOf(limit),
        "max_memory_restart is taken as resources.max_memory, a limit: at it an instance is "
        "killed and started again");
    return absl::OkStatus();
  }

  void ReadUser() {
    const YAML::Node user = Get({"uid", "user"});
    const YAML::Node group = Get({"gid"});
    if (user) draft_.SetText("isolation.user", user.Scalar());
    if (group) draft_.SetText("isolation.group", group.Scalar());
    if (user || group) {
      draft_.Note(LineOf(user ? user : group),
                  "isolation.user and group need an agent that runs as root");
    }
  }

  absl::Status ReadRestart() {
    PANDO_ASSIGN_OR_RETURN(auto delay, MillisOf("exp_backoff_restart_delay"));
    if (!delay) {
      PANDO_ASSIGN_OR_RETURN(delay, MillisOf("restart_delay"));
    }
    if (delay) {
      draft_.SetDuration(LineOf(app_), "restart.backoff", *delay, 10, kHourMs);
      if (*delay > 30'000) {
        draft_.SetDuration(LineOf(app_), "restart.max_backoff", *delay, 10, kHourMs);
      }
    }
    PANDO_ASSIGN_OR_RETURN(const auto uptime, MillisOf("min_uptime"));
    if (uptime) draft_.SetDuration(LineOf(app_), "restart.reset_after", *uptime, 100, kDayMs);
    const YAML::Node autorestart = Get({"autorestart"});
    if (autorestart && autorestart.Scalar() == "false") {
      draft_.Note(LineOf(autorestart),
                  "autorestart: false has no counterpart: what ends is started again");
    }
    return absl::OkStatus();
  }

  void TellTheRest() {
    static constexpr const char* kRead[] = {"args",
                                            "autorestart",
                                            "cmd",
                                            "command",
                                            "cwd",
                                            "env",
                                            "exec_interpreter",
                                            "exec_mode",
                                            "exp_backoff_restart_delay",
                                            "gid",
                                            "uid",
                                            "user",
                                            "instances",
                                            "interpreter",
                                            "listen_timeout",
                                            "node_args",
                                            "interpreterArgs",
                                            "interpreter_args",
                                            "kill_timeout",
                                            "max_memory_restart",
                                            "min_uptime",
                                            "name",
                                            "port",
                                            "restart_delay",
                                            "script"};
    for (const auto& entry : app_) {
      const std::string key = entry.first.Scalar();
      const int line = LineOf(entry.first);
      if (std::find(std::begin(kRead), std::end(kRead), key) != std::end(kRead)) continue;
      const auto* left_out = std::find_if(std::begin(kLeftOut), std::end(kLeftOut),
                                          [&](const LeftOut& l) { return key == l.key; });
      const bool off =
          entry.second.IsNull() || (entry.second.IsScalar() && entry.second.Scalar() == "false");
      if (absl::StartsWith(key, "env_")) {
        if (key.substr(4) != environment_) {
          draft_.Note(line, absl::StrCat(key, " is left out: --env ", key.substr(4), " takes it"));
        }
      } else if (left_out == std::end(kLeftOut)) {
        draft_.Note(line, absl::StrCat(key, " is left out: it has no counterpart"));
      } else if (*left_out->why != '\0' && !off) {
        draft_.Note(line, absl::StrCat(key, " is left out: ", left_out->why));
      }
    }
  }

  const ImportSource& source_;
  const YAML::Node app_;
  const std::string& environment_;
  AppDraft draft_;
};

absl::StatusOr<Import> ReadApps(const ImportSource& source, const std::string& environment,
                                const YAML::Node& root) {
  std::vector<YAML::Node> apps;
  const YAML::Node list = root.IsMap() && root["apps"] ? root["apps"] : root;
  if (list.IsSequence()) {
    for (const YAML::Node& app : list) apps.push_back(app);
  } else if (list.IsMap() && (list["script"] || root["apps"])) {
    apps.push_back(list);
  }
  if (apps.empty()) return ImportError(source, 0, "has no apps (PM2's list of what to start)");
  Import import;
  for (const YAML::Node& app : apps) {
    if (!app.IsMap()) return ImportError(source, LineOf(app), "an app is not a map");
    PANDO_ASSIGN_OR_RETURN(ImportedApp imported, Pm2App(source, app, environment).Read());
    import.apps.push_back(std::move(imported));
  }
  if (root.IsMap() && root["deploy"]) {
    import.notes.push_back({LineOf(root["deploy"]),
                            "deploy is left out: the code has to be on the hosts, in the same "
                            "directory on each"});
  }
  Finish(import);
  return import;
}

}  // namespace

absl::StatusOr<Import> ImportPm2(const ImportSource& source, const std::string& environment) {
  return OnYamlOf(source,
                  [&](const YAML::Node& root) { return ReadApps(source, environment, root); });
}

}  // namespace pando::ctl
