// ctl status, ps, nodes, proxies: one view of the cluster, or a new one after every change.
#include <memory>

#include "ctl/command.h"
#include "ctl/load_views.h"
#include "ctl/views.h"

namespace pando::ctl {

namespace {

struct ListArgs {
  std::string app;
  bool watch = false;
};

std::string TextOf(Context& context, Screen screen, const v1::ClusterView& view) {
  const Options& options = context.options();
  if (options.format == OutputFormat::kName) return ScreenNames(screen, view);
  return ScreenText(screen, view, {options.format == OutputFormat::kWide, options.color});
}

void PrintOnce(Context& context, Screen screen, const v1::ClusterView& view) {
  const OutputFormat format = context.options().format;
  if (IsDocument(format)) return PrintDocument(context.out(), format, ScreenJson(screen, view));
  context.out() << TextOf(context, screen, view) << std::flush;
}

void PrintNext(Context& context, Screen screen, const v1::ClusterView& view, bool first) {
  const OutputFormat format = context.options().format;
  if (IsDocument(format)) {
    return PrintDocumentOfSeries(context.out(), format, ScreenJson(screen, view));
  }
  if (context.terminal().out_is_terminal) {
    context.out() << "\x1b[H\x1b[2J";
  } else if (!first) {
    context.out() << "\n";
  }
  context.out() << TextOf(context, screen, view) << std::flush;
}

// Ends only by an error or Ctrl-C.
ExitCode Watch(Context& context, Screen screen, const v1::ClusterRequest& request) {
  // A watch of an app waits for it to come; a name that is not there now is rather a mistake.
  if (!request.app().empty()) {
    const auto now = context.client().GetCluster(request);
    if (!now.ok()) return context.Fail(now.status());
  }
  const auto watch = context.client().Watch(request);
  bool first = true;
  for (;;) {
    const auto news = watch->Next(std::chrono::steady_clock::now() + std::chrono::seconds(60));
    if (const auto* view = std::get_if<v1::ClusterView>(&news)) {
      PrintNext(context, screen, *view, first);
      first = false;
    } else if (const auto* status = std::get_if<absl::Status>(&news)) {
      return context.Fail(*status);
    } else if (const auto* lost = std::get_if<ClusterWatch::Lost>(&news)) {
      if (first) return context.Fail(lost->status);
      context.terminal().err << "ctl: the controller went away; waiting for it to return"
                             << std::endl;
    }
  }
}

// Under the status for people. An older controller cannot tell, and the status is complete without.
void PrintLoad(Context& context, const std::string& app) {
  const Options& options = context.options();
  if (options.format != OutputFormat::kTable && options.format != OutputFormat::kWide) return;
  v1::LoadRequest request;
  request.set_app(app);
  const auto load = context.client().GetLoad(request);
  if (!load.ok()) return;
  context.out() << LoadText(*load, {options.format == OutputFormat::kWide, options.color})
                << std::flush;
}

ExitCode Show(Context& context, Screen screen, const ListArgs& args) {
  v1::ClusterRequest request;
  request.set_app(args.app);
  if (args.watch) return Watch(context, screen, request);
  const auto view = context.client().GetCluster(request);
  if (!view.ok()) return context.Fail(view.status());
  PrintOnce(context, screen, *view);
  if (screen == Screen::kStatus) PrintLoad(context, args.app);
  return ExitCode::kOk;
}

void AddScreen(CommandLine& line, Screen screen, const std::string& name,
               const std::string& description, bool takes_app) {
  auto args = std::make_shared<ListArgs>();
  CLI::App& command = line.Add(
      name, description, [args, screen](Context& context) { return Show(context, screen, *args); });
  if (takes_app) command.add_option("APP", args->app, "Only this app")->type_name("");
  command.add_flag("-w,--watch", args->watch, "Show it again after every change");
}

}  // namespace

void AddListCommands(CommandLine& line) {
  AddScreen(line, Screen::kStatus, "status", "The cluster and its apps on one screen", true);
  AddScreen(line, Screen::kInstances, "ps", "The instances, where they run and how they are", true);
  AddScreen(line, Screen::kNodes, "nodes", "The hosts with an agent", false);
  AddScreen(line, Screen::kProxies, "proxies", "The proxies and how current their tables are",
            false);
}

}  // namespace pando::ctl
