#include "ctl/completion.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "ctl/command.h"

namespace pando::ctl {

namespace {

struct Flag {
  std::vector<std::string> names;  // "-f", "--file"
  std::string description;
  bool takes_value = false;
};

struct Command {
  std::string name;
  std::string description;
  std::vector<Flag> flags;
  std::string words;  // fixed words it takes: "bash zsh fish"
  std::string asks;   // what to ask `ctl __complete` for: "apps"
};

std::vector<Flag> FlagsOf(const CLI::App& app) {
  std::vector<Flag> flags;
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_positional()) continue;
    Flag flag;
    for (const std::string& name : option->get_snames()) flag.names.push_back("-" + name);
    for (const std::string& name : option->get_lnames()) flag.names.push_back("--" + name);
    flag.description = option->get_description();
    flag.takes_value = option->get_expected_max() > 0;
    flags.push_back(std::move(flag));
  }
  return flags;
}

std::vector<Command> CommandsOf(const CLI::App& root) {
  std::vector<Command> commands;
  for (const CLI::App* app : root.get_subcommands([](const CLI::App*) { return true; })) {
    if (app->get_group().empty()) continue;  // hidden
    Command command{app->get_name(), app->get_description(), FlagsOf(*app), "", ""};
    for (const CLI::Option* option : app->get_options()) {
      if (!option->get_positional()) continue;
      const std::string name = option->get_name(true);
      if (name == "APP") command.asks = "apps";
      if (name == "APP|INSTANCE") command.asks = "targets";
      if (name == "APP|INSTANCE|NODE") command.asks = "things";
      if (name == "NODE") command.asks = "nodes";
      if (name == "SHELL") command.words = "bash zsh fish";
      if (name == "ACTION") command.words = kRolloutActions;
      if (name == "WHAT") command.words = "apps instances nodes";
    }
    commands.push_back(std::move(command));
  }
  return commands;
}

std::string NamesOf(const std::vector<Flag>& flags) {
  std::vector<std::string> names;
  for (const Flag& flag : flags) names.insert(names.end(), flag.names.begin(), flag.names.end());
  return absl::StrJoin(names, " ");
}

// Global flags whose next word is not a command: "-o|--output|--timeout".
std::string FlagsWithValue(const std::vector<Flag>& flags) {
  std::vector<std::string> names;
  for (const Flag& flag : flags) {
    if (flag.takes_value) names.insert(names.end(), flag.names.begin(), flag.names.end());
  }
  return absl::StrJoin(names, "|");
}

std::string SingleQuoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", "'\\''"}}), "'");
}

std::string Bash(const CLI::App& root) {
  const std::vector<Flag> globals = FlagsOf(root);
  const std::vector<Command> commands = CommandsOf(root);
  std::vector<std::string> names;
  std::string cases;
  for (const Command& command : commands) {
    names.push_back(command.name);
    absl::StrAppend(&cases, "    ", command.name, ")\n      flags+=\" ", NamesOf(command.flags),
                    "\"\n");
    if (!command.words.empty()) absl::StrAppend(&cases, "      words=\"", command.words, "\"\n");
    if (!command.asks.empty()) {
      absl::StrAppend(&cases, "      [[ $cur == -* ]] || words+=\" $(ctl __complete ", command.asks,
                      " 2>/dev/null)\"\n");
    }
    absl::StrAppend(&cases, "      ;;\n");
  }
  return absl::StrCat(R"(# bash completion for ctl
_ctl() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
  local command="" words="" flags=")",
                      NamesOf(globals), R"(" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      )",
                      FlagsWithValue(globals), R"() ((i++)) ;;
      -*) ;;
      *) command=${COMP_WORDS[i]}; break ;;
    esac
  done
  case $prev in
    -o|--output)
      COMPREPLY=($(compgen -W "table wide json yaml name" -- "$cur"))
      return
      ;;
    -f|--file)
      if [[ $command == apply || $command == plan ]]; then
        COMPREPLY=($(compgen -f -- "$cur"))
        return
      fi
      ;;
  esac
  case $command in
    "")
      words=")",
                      absl::StrJoin(names, " "), R"("
      ;;
)",
                      cases, R"(  esac
  if [[ $cur == -* ]]; then
    words=$flags
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -F _ctl ctl
)");
}

std::string Zsh(const CLI::App& root) {
  const std::vector<Flag> globals = FlagsOf(root);
  std::string described, cases;
  for (const Command& command : CommandsOf(root)) {
    // In _describe a colon ends the name.
    absl::StrAppend(
        &described, "    ",
        SingleQuoted(absl::StrCat(command.name, ":",
                                  absl::StrReplaceAll(command.description, {{":", "\\:"}}))),
        "\n");
    absl::StrAppend(&cases, "    ", command.name, ")\n      flags+=(", NamesOf(command.flags),
                    ")\n");
    if (!command.words.empty()) absl::StrAppend(&cases, "      names=(", command.words, ")\n");
    if (!command.asks.empty()) {
      absl::StrAppend(&cases, "      names+=(${(f)\"$(ctl __complete ", command.asks,
                      " 2>/dev/null)\"})\n");
    }
    absl::StrAppend(&cases, "      ;;\n");
  }
  return absl::StrCat(R"(#compdef ctl
# zsh completion for ctl
_ctl() {
  local command="" i
  local -a commands flags names
  commands=(
)",
                      described, R"(  )
  flags=()",
                      NamesOf(globals), R"()
  for ((i = 2; i < CURRENT; i++)); do
    case ${words[i]} in
      )",
                      FlagsWithValue(globals), R"() ((i++)) ;;
      -*) ;;
      *) command=${words[i]}; break ;;
    esac
  done
  case ${words[CURRENT-1]} in
    -o|--output)
      compadd -- table wide json yaml name
      return
      ;;
    -f|--file)
      if [[ $command == apply || $command == plan ]]; then
        _files
        return
      fi
      ;;
  esac
  case $command in
    "")
      if [[ ${words[CURRENT]} != -* ]]; then
        _describe command commands
        return
      fi
      ;;
)",
                      cases, R"(  esac
  if [[ ${words[CURRENT]} == -* ]]; then
    compadd -- $flags
  else
    compadd -- $names
  fi
}
if [[ ${funcstack[1]} == _ctl ]]; then
  _ctl "$@"
else
  compdef _ctl ctl
fi
)");
}

// One `complete` line of fish for a flag; `condition` may be empty.
std::string FishFlag(const Flag& flag, const std::string& condition) {
  std::string line = "complete -c ctl";
  if (!condition.empty()) absl::StrAppend(&line, " -n ", SingleQuoted(condition));
  bool is_file = false;
  bool is_output = false;
  for (const std::string& name : flag.names) {
    if (absl::StartsWith(name, "--")) {
      absl::StrAppend(&line, " -l ", name.substr(2));
    } else {
      absl::StrAppend(&line, " -s ", name.substr(1));
    }
    is_file |= name == "--file";
    is_output |= name == "--output";
  }
  if (is_output) {
    absl::StrAppend(&line, " -x -a 'table wide json yaml name'");
  } else if (flag.takes_value) {
    absl::StrAppend(&line, is_file ? " -r -F" : " -x");
  }
  return absl::StrCat(line, " -d ", SingleQuoted(flag.description), "\n");
}

std::string Fish(const CLI::App& root) {
  std::string out = "# fish completion for ctl\ncomplete -c ctl -f\n";
  for (const Flag& flag : FlagsOf(root)) absl::StrAppend(&out, FishFlag(flag, ""));
  for (const Command& command : CommandsOf(root)) {
    absl::StrAppend(&out, "complete -c ctl -n __fish_use_subcommand -a ", command.name, " -d ",
                    SingleQuoted(command.description), "\n");
    const std::string condition = absl::StrCat("__fish_seen_subcommand_from ", command.name);
    const auto add_words = [&](const std::string& words) {
      absl::StrAppend(&out, "complete -c ctl -n '", condition, "' -a '", words, "'\n");
    };
    if (!command.words.empty()) add_words(command.words);
    if (!command.asks.empty()) {
      add_words(absl::StrCat("(ctl __complete ", command.asks, " 2>/dev/null)"));
    }
    for (const Flag& flag : command.flags) {
      if (flag.names.back() != "--help") absl::StrAppend(&out, FishFlag(flag, condition));
    }
  }
  return out;
}

}  // namespace

std::string CompletionScript(Shell shell, const CLI::App& root) {
  switch (shell) {
    case Shell::kBash:
      return Bash(root);
    case Shell::kZsh:
      return Zsh(root);
    case Shell::kFish:
      return Fish(root);
  }
  return "";
}

}  // namespace pando::ctl
