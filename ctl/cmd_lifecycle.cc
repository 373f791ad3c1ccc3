// ctl stop, start, restart, rm.
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "ctl/change.h"
#include "ctl/command.h"

namespace pando::ctl {

namespace {

using Call = absl::StatusOr<v1::ChangeResponse> (Client::*)(const v1::AppRequest&);

struct Verb {
  Call call;
  Goal goal;
  // How lines begin after the app's name.
  std::string (*describe)(const v1::ChangeResponse&);
};

ExitCode Do(Context& context, const Verb& verb, const std::string& app) {
  v1::AppRequest request;
  request.set_app(app);
  const Instant began = std::chrono::steady_clock::now();
  const auto accepted = (context.client().*verb.call)(request);
  if (!accepted.ok()) return context.Fail(accepted.status());
  WaitTarget target{accepted->app(), verb.describe(*accepted), accepted->generation(), verb.goal,
                    accepted->revision()};
  return FinishChanges(context, {{std::move(target), *accepted, began}});
}

void AddVerb(CommandLine& line, const std::string& name, const std::string& description,
             Verb verb) {
  auto app = std::make_shared<std::string>();
  CLI::App& command = line.Add(name, description,
                               [app, verb](Context& context) { return Do(context, verb, *app); });
  AddAppArgument(command, *app);
}

// The app a question can name. Error: kInvalidArgument when it is not clear which one is meant.
absl::StatusOr<std::string> NameOfOnlyApp(Context& context) {
  const auto view = context.client().GetCluster(v1::ClusterRequest());
  if (!view.ok()) return view.status();
  if (view->apps_size() == 1) return view->apps(0).name();
  if (view->apps().empty()) return absl::NotFoundError("there is no app");
  return absl::InvalidArgumentError("there are several apps; say which one");
}

bool MayAsk(const Terminal& terminal) {
  return terminal.in_is_terminal && terminal.err_is_terminal;
}

bool SaysYes(Terminal& terminal, const std::string& question) {
  terminal.err << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(terminal.in, answer);
  answer = absl::AsciiStrToLower(absl::StripAsciiWhitespace(answer));
  return answer == "y" || answer == "yes";
}

ExitCode RemoveApp(Context& context, std::string app, bool yes) {
  const Verb verb{&Client::Remove, Goal::kRemoved,
                  [](const v1::ChangeResponse&) { return std::string("removed"); }};
  if (yes) return Do(context, verb, app);
  if (app.empty()) {
    auto only = NameOfOnlyApp(context);
    if (!only.ok()) return context.Fail(only.status());
    app = *std::move(only);
  }
  if (!SaysYes(context.terminal(),
               absl::StrCat("Remove ", app, ", its instances and its history?"))) {
    return context.Fail(ExitCode::kError, "nothing removed");
  }
  return Do(context, verb, app);
}

ExitCode RemoveGateway(Context& context, const std::string& name, bool yes) {
  if (!yes && !SaysYes(context.terminal(),
                       absl::StrCat("Remove gateway ", name, "? Proxies listen there no more."))) {
    return context.Fail(ExitCode::kError, "nothing removed");
  }
  v1::GatewayRequest request;
  request.set_name(name);
  if (absl::Status status = context.client().RemoveGateway(request); !status.ok()) {
    return context.Fail(status);
  }
  PrintDone(context, name, "removed");
  return ExitCode::kOk;
}

struct RemoveArgs {
  std::string app;
  std::string gateway;
  bool yes = false;
};

ExitCode Remove(Context& context, const RemoveArgs& args) {
  if (!args.app.empty() && !args.gateway.empty()) {
    return context.UsageError("rm: an app or a --gateway, not both");
  }
  if (!args.yes && !MayAsk(context.terminal())) {
    return context.UsageError("rm: nobody to ask here; say -y to remove without a question");
  }
  return args.gateway.empty() ? RemoveApp(context, args.app, args.yes)
                              : RemoveGateway(context, args.gateway, args.yes);
}

}  // namespace

void AddLifecycleCommands(CommandLine& line) {
  AddVerb(line, "stop", "Stop every instance of an app; the app is kept",
          {&Client::Stop, Goal::kStopped,
           [](const v1::ChangeResponse&) { return std::string("stopped"); }});
  AddVerb(line, "start", "Start a stopped app with as many instances as before",
          {&Client::Start, Goal::kSettled,
           [](const v1::ChangeResponse&) { return std::string("started"); }});
  AddVerb(line, "restart", "Replace every instance by a new one, without losing requests",
          {&Client::Restart, Goal::kSettled, [](const v1::ChangeResponse& accepted) {
             return absl::StrCat("restarted as r", accepted.revision());
           }});
  auto args = std::make_shared<RemoveArgs>();
  CLI::App& rm = line.Add("rm", "Stop an app and forget it with its history, or forget a gateway",
                          [args](Context& context) { return Remove(context, *args); });
  AddAppArgument(rm, args->app);
  rm.add_option("--gateway", args->gateway, "This gateway, in place of an app")->type_name("NAME");
  rm.add_flag("-y,--yes", args->yes, "Do not ask");
}

}  // namespace pando::ctl
