// ctl top: who is busy, live on a terminal.
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ctl/command.h"
#include "ctl/format.h"
#include "ctl/keyboard.h"
#include "ctl/load_views.h"

namespace pando::ctl {
namespace {

constexpr Millis kMinInterval{100};

constexpr std::pair<const char*, TopScreen> kScreens[] = {
    {"apps", TopScreen::kApps}, {"instances", TopScreen::kInstances}, {"nodes", TopScreen::kNodes}};
constexpr std::pair<const char*, TopSort> kSorts[] = {
    {"name", TopSort::kName},         {"cpu", TopSort::kCpu},       {"memory", TopSort::kMemory},
    {"requests", TopSort::kRequests}, {"errors", TopSort::kErrors}, {"p99", TopSort::kP99},
    {"in-flight", TopSort::kInFlight}};

struct TopArgs {
  std::string screen = "apps";
  std::string app;
  std::string sort = "name";
  std::string interval = "1s";
  bool once = false;
};

struct Top {
  TopScreen screen = TopScreen::kApps;
  TopSort sort = TopSort::kName;
  Millis interval{1'000};
};

template <class Value, size_t N>
std::optional<Value> Find(const std::pair<const char*, Value> (&choices)[N],
                          const std::string& name) {
  for (const auto& [word, value] : choices) {
    if (name == word) return value;
  }
  return std::nullopt;
}

template <class Value, size_t N>
std::string Words(const std::pair<const char*, Value> (&choices)[N]) {
  std::string words;
  for (const auto& [word, value] : choices)
    absl::StrAppend(&words, words.empty() ? "" : ", ", word);
  return words;
}

// Whether the live display goes on.
bool Press(char key, Top& top) {
  if (key == 'a') top.screen = TopScreen::kApps;
  if (key == 'i') top.screen = TopScreen::kInstances;
  if (key == 'n') top.screen = TopScreen::kNodes;
  if (key == 's') {
    top.sort = static_cast<TopSort>((static_cast<size_t>(top.sort) + 1) % std::size(kSorts));
  }
  return key != 'q' && key != '\x04';  // Ctrl-D
}

ExitCode Live(Context& context, Top top, const v1::LoadRequest& request) {
  Keyboard keyboard(context.terminal().in_is_terminal);
  const ViewStyle style{context.options().format == OutputFormat::kWide, context.options().color};
  while (true) {
    const auto view = context.client().GetLoad(request);
    if (!view.ok() && ExitCodeOf(view.status()) != ExitCode::kUnreachable) {
      return context.Fail(view.status());
    }
    context.out() << "\x1b[H\x1b[2J"
                  << (view.ok() ? TopText(top.screen, top.sort, *view, style)
                                : absl::StrCat(view.status().message(), "\n"))
                  << "\n"
                  << Paint(absl::StrCat("a apps  i instances  n nodes  s sort (by ",
                                        kSorts[static_cast<size_t>(top.sort)].first, ")  q quit\n"),
                           Color::kDim, style.color)
                  << std::flush;
    const std::optional<char> key = keyboard.Wait(top.interval);
    if (key && !Press(*key, top)) return ExitCode::kOk;
  }
}

ExitCode ShowTop(Context& context, const TopArgs& args) {
  Top top;
  const auto screen = Find(kScreens, args.screen);
  if (!screen) {
    return context.UsageError(
        absl::StrCat("top: \"", args.screen, "\" is not known (allowed: ", Words(kScreens), ")"));
  }
  const auto sort = Find(kSorts, args.sort);
  if (!sort) {
    return context.UsageError(
        absl::StrCat("--sort: \"", args.sort, "\" is not known (allowed: ", Words(kSorts), ")"));
  }
  const auto interval = ParseDuration(args.interval);
  if (!interval.ok()) {
    return context.UsageError(absl::StrCat("--interval: ", interval.status().message()));
  }
  top = {*screen, *sort, std::max(*interval, kMinInterval)};
  v1::LoadRequest request;
  request.set_app(args.app);
  const OutputFormat format = context.options().format;
  const bool is_table = format == OutputFormat::kTable || format == OutputFormat::kWide;
  if (is_table && !args.once && context.terminal().out_is_terminal) {
    return Live(context, top, request);
  }
  const auto view = context.client().GetLoad(request);
  if (!view.ok()) return context.Fail(view.status());
  if (IsDocument(format)) {
    PrintDocument(context.out(), format, TopJson(top.screen, top.sort, *view));
  } else {
    context.out() << TopText(top.screen, top.sort, *view,
                             {format == OutputFormat::kWide, context.options().color})
                  << std::flush;
  }
  return ExitCode::kOk;
}

}  // namespace

void AddTopCommand(CommandLine& line) {
  auto args = std::make_shared<TopArgs>();
  CLI::App& command =
      line.Add("top", "CPU, memory, requests, latency and errors of the last seconds",
               [args](Context& context) { return ShowTop(context, *args); });
  command.add_option("WHAT", args->screen, "apps, instances or nodes")
      ->type_name("")
      ->capture_default_str();
  AddAppArgument(command, args->app);
  command.add_option("--sort", args->sort, absl::StrCat("By which column: ", Words(kSorts)))
      ->type_name("COLUMN")
      ->capture_default_str();
  command.add_option("--interval", args->interval, "How often it is shown anew on a terminal")
      ->type_name("TIME")
      ->capture_default_str();
  command.add_flag("--once", args->once, "Show it once, on a terminal too");
}

}  // namespace pando::ctl
