// ctl apply -f app.yaml: what the files say becomes true.
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "ctl/change.h"
#include "ctl/command.h"
#include "ctl/json.h"

namespace pando::ctl {

namespace {

namespace fs = std::filesystem;

struct Args {
  std::vector<std::string> files;
  bool dry_run = false;
  bool force = false;
};

absl::StatusOr<v1::ApplyRequest> ReadRequest(Context& context, const std::string& file) {
  v1::ApplyRequest request;
  std::error_code error;
  const fs::path here = fs::current_path(error);
  if (error) return absl::NotFoundError(absl::StrCat("current directory: ", error.message()));
  request.set_base_dir(here.string());
  std::istream* in = &context.terminal().in;
  std::ifstream stream;
  if (file == "-") {
    request.set_filename("stdin");
    request.set_file_dir(here.string());
  } else {
    request.set_filename(file);
    request.set_file_dir(fs::absolute(file).parent_path().lexically_normal().string());
    if (fs::is_directory(file, error)) {
      return absl::InvalidArgumentError(absl::StrCat(file, ": is a directory"));
    }
    errno = 0;
    stream.open(file, std::ios::binary);
    if (!stream) {
      return absl::InvalidArgumentError(
          absl::StrCat(file, ": ", std::generic_category().message(errno)));
    }
    in = &stream;
  }
  request.set_yaml(std::string(std::istreambuf_iterator<char>(*in), {}));
  return request;
}

std::string Headline(const v1::ApplyResponse::App& app) {
  std::string line = absl::StrCat(app.name(), ": ");
  if (app.old_revision() == 0) {
    absl::StrAppend(&line, "new, r", app.revision());
  } else if (app.old_revision() == app.revision()) {
    absl::StrAppend(&line, "r", app.revision(), " unchanged");
  } else {
    absl::StrAppend(&line, "r", app.old_revision(), " -> r", app.revision());
  }
  absl::StrAppend(&line, "  replicas ", app.replicas());
  if (app.replicas_source() != "spec" && !app.replicas_source().empty()) {
    absl::StrAppend(&line, " (", app.replicas_source(), ")");
  }
  return line;
}

// A bad spec's lines name file, line and field already.
ExitCode FailApply(Context& context, const absl::Status& status) {
  if (status.code() != absl::StatusCode::kInvalidArgument) return context.Fail(status);
  context.terminal().err << std::string(status.message()) << std::endl;
  return ExitCode::kError;
}

Change ChangeOf(const v1::ApplyResponse::App& app, Instant began) {
  Change change;
  change.target.app = app.name();
  change.target.change = app.old_revision() == 0 || app.old_revision() == app.revision()
                             ? absl::StrCat("r", app.revision())
                             : absl::StrCat("r", app.old_revision(), " -> r", app.revision());
  change.target.generation = app.generation();
  change.accepted.set_app(app.name());
  change.accepted.set_old_replicas(app.replicas());
  change.accepted.set_replicas(app.replicas());
  change.accepted.set_revision(app.revision());
  change.accepted.set_generation(app.generation());
  change.began = began;
  return change;
}

void PrintDryRun(Context& context, const v1::ApplyResponse& all) {
  const OutputFormat format = context.options().format;
  if (!IsDocument(format)) return;
  PrintDocument(context.out(), format, ToJson(all));
}

void PrintHeadlines(Context& context, const v1::ApplyResponse& response) {
  const OutputFormat format = context.options().format;
  if (IsDocument(format) || format == OutputFormat::kName) return;
  for (const auto& app : response.apps()) context.out() << Headline(app) << std::endl;
  for (const std::string& gateway : response.gateways()) {
    context.out() << "gateway " << gateway << ": changed" << std::endl;
  }
}

ExitCode Apply(Context& context, const Args& args) {
  std::vector<v1::ApplyRequest> requests;
  for (const std::string& file : args.files) {
    auto request = ReadRequest(context, file);
    if (!request.ok())
      return context.Fail(ExitCode::kError, std::string(request.status().message()));
    if (args.force) request->mutable_options()->set_force(true);
    requests.push_back(*std::move(request));
  }
  const Instant began = std::chrono::steady_clock::now();
  v1::ApplyResponse all;
  // One bad file among several must not leave half of them applied.
  if (args.dry_run || requests.size() > 1) {
    for (v1::ApplyRequest& request : requests) {
      request.set_dry_run(true);
      const auto response = context.client().Apply(request);
      if (!response.ok()) return FailApply(context, response.status());
      request.set_dry_run(false);
      if (args.dry_run) PrintHeadlines(context, *response);
      all.MergeFrom(*response);
    }
  }
  if (args.dry_run) {
    PrintDryRun(context, all);
    return ExitCode::kOk;
  }
  std::vector<Change> changes;
  for (const v1::ApplyRequest& request : requests) {
    const auto response = context.client().Apply(request);
    if (!response.ok()) return FailApply(context, response.status());
    for (const auto& app : response->apps()) {
      if (app.refused().empty()) continue;
      return context.Fail(ExitCode::kRolloutFailed,
                          absl::StrCat(app.name(), ": nothing was changed: ", app.refused(),
                                       " (change it, or try it again with --force)"));
    }
    PrintHeadlines(context, *response);
    for (const auto& app : response->apps()) changes.push_back(ChangeOf(app, began));
  }
  return FinishChanges(context, changes);
}

}  // namespace

void AddApplyCommand(CommandLine& line) {
  auto args = std::make_shared<Args>();
  CLI::App& command =
      line.Add("apply", "Make what spec files say true: create or change apps and gateways",
               [args](Context& context) { return Apply(context, *args); });
  command.add_option("-f,--file", args->files, "A spec file, - for standard input; repeatable")
      ->required()
      ->type_name("FILE")
      ->allow_extra_args(false);
  command.add_flag("--dry-run", args->dry_run, "Only check and say what would change");
  command.add_flag("--force", args->force, "Also what was rolled back before");
}

}  // namespace pando::ctl
