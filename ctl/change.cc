#include "ctl/change.h"

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "ctl/json.h"
#include "ctl/progress.h"

namespace pando::ctl {

namespace {

constexpr Millis kTick{100};

struct Ending {
  ExitCode outcome = ExitCode::kOk;
  std::string message;  // a result line when kOk, otherwise what went wrong
  Millis elapsed{0};
  std::optional<v1::AppView> status;
};

Ending EndingOf(const Wait& wait) {
  Ending ending;
  ending.outcome = *wait.outcome();
  ending.message = ending.outcome == ExitCode::kOk ? wait.ResultLine() : wait.FailureLine();
  ending.elapsed = wait.elapsed();
  if (wait.app() != nullptr) ending.status = *wait.app();
  return ending;
}

Ending Await(Context& context, const Change& change) {
  WaitPolicy policy;
  policy.timeout = context.options().timeout;
  Wait wait(change.target, policy, change.began);
  Progress progress(context.terminal(), context.options().quiet);
  v1::ClusterRequest request;
  request.set_app(change.target.app);
  const auto watch = context.client().Watch(request);
  bool said_lost = false;
  while (!wait.outcome()) {
    const auto news = watch->Next(std::chrono::steady_clock::now() + kTick);
    const Instant now = std::chrono::steady_clock::now();
    if (const auto* view = std::get_if<v1::ClusterView>(&news)) {
      wait.Observe(*view, now);
    } else if (const auto* status = std::get_if<absl::Status>(&news)) {
      if (status->code() != absl::StatusCode::kNotFound) {
        return {ExitCodeOf(*status), std::string(status->message()), wait.elapsed(), {}};
      }
      wait.ObserveGone(now);
    } else {
      if (std::holds_alternative<ClusterWatch::Lost>(news) && !std::exchange(said_lost, true)) {
        progress.Say("ctl: the controller went away; the change stands, waiting for it to return");
      }
      wait.Tick(now);
    }
    if (!wait.outcome()) progress.Show(wait.ProgressLine(now), wait.ProgressText(), now);
  }
  return EndingOf(wait);
}

std::string ToJson(const Change& change, std::string_view outcome, const Ending& ending) {
  const v1::ChangeResponse& accepted = change.accepted;
  JsonObject object;
  object.Text("app", accepted.app())
      .Number("old_replicas", accepted.old_replicas())
      .Number("replicas", accepted.replicas())
      .Number("revision", accepted.revision())
      .Number("generation", accepted.generation())
      .Text("outcome", outcome)
      .Raw("seconds", absl::StrFormat("%.3f", static_cast<double>(ending.elapsed.count()) / 1000))
      .Text("message", ending.message)
      .Raw("status", ending.status ? ctl::ToJson(*ending.status) : "null");
  if (!change.plan.empty()) object.Raw("plan", change.plan);
  return object.Str();
}

// How it ended, for people; for documents, returned.
std::string Tell(Context& context, const Change& change, std::string_view outcome,
                 const Ending& ending) {
  const OutputFormat format = context.options().format;
  if (ending.outcome != ExitCode::kOk) context.Fail(ending.outcome, ending.message);
  if (IsDocument(format)) return ToJson(change, outcome, ending);
  if (format == OutputFormat::kName) {
    context.out() << change.target.app << std::endl;
  } else if (ending.outcome == ExitCode::kOk) {
    context.out() << ending.message << std::endl;
  }
  return "";
}

void PrintChanges(Context& context, const std::vector<std::string>& documents) {
  const OutputFormat format = context.options().format;
  if (!IsDocument(format)) return;
  PrintDocument(context.out(), format, JsonObject().Raw("changes", JsonArray(documents)).Str());
}

}  // namespace

void PrintDone(Context& context, const std::string& name, const std::string& outcome) {
  const OutputFormat format = context.options().format;
  if (IsDocument(format)) {
    PrintDocument(context.out(), format,
                  JsonObject().Text("name", name).Text("outcome", outcome).Str());
  } else if (format == OutputFormat::kName) {
    context.out() << name << std::endl;
  } else {
    context.out() << name << " " << outcome << std::endl;
  }
}

std::string_view OutcomeWord(ExitCode outcome) {
  switch (outcome) {
    case ExitCode::kOk:
      return "ok";
    case ExitCode::kRolloutFailed:
      return "rollout-failed";
    case ExitCode::kNotPlaced:
      return "not-placed";
    case ExitCode::kTimeout:
      return "timeout";
    case ExitCode::kConflict:
      return "conflict";
    case ExitCode::kNotFound:
      return "not-found";
    case ExitCode::kDenied:
      return "denied";
    case ExitCode::kUnreachable:
      return "unreachable";
    case ExitCode::kError:
    case ExitCode::kUsage:
    case ExitCode::kPending:
      break;
  }
  return "error";
}

ExitCode FinishChanges(Context& context, const std::vector<Change>& changes) {
  ExitCode code = ExitCode::kOk;
  std::vector<std::string> documents;
  for (const Change& change : changes) {
    Ending ending;
    std::string_view word = "accepted";
    if (context.options().detach) {
      ending.message = absl::StrCat(change.target.app, " ", change.target.change, "  accepted");
    } else {
      ending = Await(context, change);
      word = OutcomeWord(ending.outcome);
    }
    if (code == ExitCode::kOk) code = ending.outcome;
    documents.push_back(Tell(context, change, word, ending));
  }
  PrintChanges(context, documents);
  return code;
}

ExitCode FinishChange(Context& context, const v1::ChangeResponse& accepted, ExitCode outcome,
                      const std::string& message, const v1::AppView* app) {
  Ending ending{outcome, message, Millis{0}, {}};
  if (app != nullptr) ending.status = *app;
  Change change;
  change.target.app = accepted.app();
  change.accepted = accepted;
  PrintChanges(context, {Tell(context, change, OutcomeWord(outcome), ending)});
  return outcome;
}

}  // namespace pando::ctl
