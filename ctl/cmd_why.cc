// ctl why web.9 | web | node-2: why it is as it is.
#include <memory>

#include "absl/strings/str_cat.h"
#include "ctl/command.h"
#include "ctl/json.h"

namespace pando::ctl {

namespace {

constexpr uint32_t kLogLines = 10;

// The newest lines of an instance's log; what cannot be read is left out, the reasons stand.
std::vector<std::string> LogOf(Context& context, const std::string& instance) {
  v1::LogsRequest request;
  request.set_target(instance);
  request.set_tail(kLogLines);
  std::vector<std::string> lines;
  context.client()
      .Logs(request,
            [&](const v1::LogEntry& entry) {
              if (entry.notice().empty()) {
                lines.push_back(absl::StrCat("  ", entry.instance(), " | ", entry.text()));
              }
            })
      .IgnoreError();
  return lines;
}

ExitCode Why(Context& context, const std::string& target) {
  v1::WhyRequest request;
  request.set_target(target);
  const auto response = context.client().Why(request);
  if (!response.ok()) return context.Fail(response.status());
  std::vector<std::string> lines(response->lines().begin(), response->lines().end());
  for (const std::string& instance : response->logs_of()) {
    for (std::string& line : LogOf(context, instance)) lines.push_back(std::move(line));
  }
  if (IsDocument(context.options().format)) {
    std::vector<std::string> texts;
    for (const std::string& line : lines) texts.push_back(JsonString(line));
    PrintDocument(context.out(), context.options().format,
                  JsonObject().Text("target", target).Raw("lines", JsonArray(texts)).Str());
    return ExitCode::kOk;
  }
  for (const std::string& line : lines) context.out() << line << "\n";
  context.out() << std::flush;
  return ExitCode::kOk;
}

}  // namespace

void AddWhyCommand(CommandLine& line) {
  auto target = std::make_shared<std::string>();
  CLI::App& command = line.Add("why", "Why an instance, an app or a node is as it is",
                               [target](Context& context) { return Why(context, *target); });
  command.add_option("APP|INSTANCE|NODE", *target, "An instance (web.9), an app or a node")
      ->required()
      ->type_name("");
}

}  // namespace pando::ctl
