// ctl bench: how an address answers at a given rate.
#include <fstream>
#include <iterator>
#include <memory>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "ctl/bench_run.h"
#include "ctl/command.h"
#include "ctl/format.h"

namespace pando::ctl {
namespace {

struct BenchArgs {
  std::string url;
  double rate = 50;
  std::string duration = "10s";
  std::string timeout = "10s";
  uint32_t connections = 10;
  std::string method = "GET";
  std::vector<std::string> headers;
  std::string body_file;
};

bool IsToken(const std::string& text) {
  return !text.empty() && text.find_first_not_of(
                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                              "!#$%&'*+-.^_`|~") == std::string::npos;
}

absl::Status AddHeader(const std::string& text, BenchPlan& plan) {
  const size_t colon = text.find(':');
  const std::string name = text.substr(0, colon);
  if (colon == std::string::npos || !IsToken(name) ||
      text.find_first_of(std::string("\r\n\0", 3)) != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("--header: \"", text, "\" is not of the form \"Name: value\""));
  }
  plan.headers.emplace_back(name, absl::StripAsciiWhitespace(text.substr(colon + 1)));
  return absl::OkStatus();
}

absl::StatusOr<BenchPlan> ToPlan(const BenchArgs& args) {
  BenchPlan plan;
  const auto url = ParseBenchUrl(args.url);
  if (!url.ok()) return url.status();
  plan.url = *url;
  for (const auto& [flag, text, into] :
       {std::tuple{"--duration", &args.duration, &plan.duration},
        std::tuple{"--request-timeout", &args.timeout, &plan.timeout}}) {
    const auto parsed = ParseDuration(*text);
    if (!parsed.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(flag, ": ", parsed.status().message()));
    }
    *into = *parsed;
  }
  plan.rate = args.rate;
  plan.connections = args.connections;
  if (!IsToken(args.method)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--method: \"", args.method, "\" is not a method, for example POST"));
  }
  plan.method = absl::AsciiStrToUpper(args.method);
  for (const std::string& header : args.headers) {
    if (absl::Status status = AddHeader(header, plan); !status.ok()) return status;
  }
  if (!args.body_file.empty()) {
    std::ifstream file(args.body_file, std::ios::binary);
    if (!file)
      return absl::InvalidArgumentError(absl::StrCat("--body: cannot read ", args.body_file));
    plan.body.assign(std::istreambuf_iterator<char>(file), {});
  }
  if (absl::Status status = CheckBenchPlan(plan); !status.ok()) return status;
  return plan;
}

ExitCode RunBenchCommand(Context& context, const BenchArgs& args) {
  const auto plan = ToPlan(args);
  if (!plan.ok()) return context.UsageError(std::string(plan.status().message()));
  std::ostream& err = context.terminal().err;
  const bool live = context.terminal().err_is_terminal && !context.options().quiet;
  if (!context.options().quiet) {
    err << absl::StrFormat("%s %s: %g/s for %s over %u connections\n", plan->method, args.url,
                           plan->rate, FormatElapsed(plan->duration), plan->connections)
        << std::flush;
  }
  const auto progress = [&](const BenchResult& so_far) {
    err << "\r\x1b[K" << FormatElapsed(so_far.elapsed) << "  " << so_far.answered << " answered, "
        << absl::StrCat(
               "p99 ",
               FormatLatency(std::chrono::duration<double>(so_far.latency.Quantile(0.99)).count()))
        << std::flush;
  };
  const auto result = RunBench(*plan, live ? progress : std::function<void(const BenchResult&)>());
  if (live) err << "\r\x1b[K" << std::flush;
  if (!result.ok()) return context.Fail(result.status());
  const OutputFormat format = context.options().format;
  if (IsDocument(format)) {
    PrintDocument(context.out(), format, BenchJson(*plan, *result));
  } else {
    context.out() << BenchText(*plan, *result, context.options().color) << std::flush;
  }
  return result->failed() == 0 ? ExitCode::kOk : ExitCode::kError;
}

}  // namespace

void AddBenchCommand(CommandLine& line) {
  auto args = std::make_shared<BenchArgs>();
  CLI::App& command = line.Add(
      "bench", "Ask an address at a fixed rate for a while; ends with 1 if a request failed",
      [args](Context& context) { return RunBenchCommand(context, *args); });
  command.add_option("URL", args->url, "http://host[:port][/path]")->type_name("")->required();
  command.add_option("--rate", args->rate, "Requests a second, however fast the answers come")
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--duration", args->duration, "For how long")
      ->type_name("TIME")
      ->capture_default_str();
  command.add_option("--connections", args->connections, "At most so many at once")
      ->type_name("N")
      ->capture_default_str();
  command.add_option("--request-timeout", args->timeout, "Longest wait for an answer")
      ->type_name("TIME")
      ->capture_default_str();
  command.add_option("--method", args->method, "GET, POST, ...")
      ->type_name("METHOD")
      ->capture_default_str();
  command.add_option("--header", args->headers, "\"Name: value\"; repeatable")->type_name("HEADER");
  command.add_option("--body", args->body_file, "Send the content of this file")->type_name("FILE");
}

}  // namespace pando::ctl
