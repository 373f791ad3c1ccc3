#include "ctl/plan_view.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "ctl/output.h"

namespace pando::ctl {

namespace {

// Values come from whoever wrote the spec: they must neither break lines nor steer the terminal.
std::string Shown(const std::string& value) {
  std::string shown;
  for (const char c : value) {
    if (c == '\n') {
      shown += "\\n";
    } else if (c == '\t') {
      shown += "\\t";
    } else if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) {
      shown += absl::StrFormat("\\x%02x", static_cast<unsigned char>(c));
    } else {
      shown += c;
    }
  }
  return shown;
}

std::string ChangeLine(const v1::ApplyResponse::FieldChange& change, bool color) {
  const std::string& before = change.old_value();
  const std::string& after = change.new_value();
  const std::string field = Shown(change.field());
  std::string line;
  if (before.empty()) {
    line = Paint(absl::StrCat("+ ", field, ": ", Shown(after)), Color::kGreen, color);
  } else if (after.empty()) {
    line = Paint(absl::StrCat("- ", field, ": ", Shown(before)), Color::kRed, color);
  } else {
    line = Paint(absl::StrCat("~ ", field, ": ", Shown(before), " -> ", Shown(after)),
                 Color::kYellow, color);
  }
  return absl::StrCat("  ", line, "\n");
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
  return absl::StrCat(line, "\n");
}

std::string Count(int count, const std::string& what) {
  return absl::StrCat(count, " ", what, count == 1 ? "" : "s");
}

}  // namespace

bool IsPending(const v1::ApplyResponse::App& app) {
  return app.old_revision() != app.revision() || app.old_replicas() != app.replicas();
}

bool IsPending(const v1::ApplyResponse& plan) {
  return !plan.gateways().empty() ||
         std::any_of(plan.apps().begin(), plan.apps().end(),
                     [](const v1::ApplyResponse::App& app) { return IsPending(app); });
}

std::string PlanText(const v1::ApplyResponse& plan, bool color) {
  std::string text;
  for (const auto& app : plan.apps()) {
    absl::StrAppend(&text, Headline(app));
    for (const auto& change : app.changes()) absl::StrAppend(&text, ChangeLine(change, color));
    for (const std::string& step : app.steps()) absl::StrAppend(&text, "  ", Shown(step), "\n");
    if (!app.refused().empty()) {
      absl::StrAppend(&text, "  ",
                      Paint(absl::StrCat("refused: ", Shown(app.refused())), Color::kRed, color),
                      "\n");
    }
    for (const std::string& warning : app.warnings()) {
      absl::StrAppend(&text, "  ",
                      Paint(absl::StrCat("warning: ", Shown(warning)), Color::kYellow, color),
                      "\n");
    }
  }
  for (const auto& gateway : plan.gateway_plans()) {
    const bool changes = std::find(plan.gateways().begin(), plan.gateways().end(),
                                   gateway.name()) != plan.gateways().end();
    absl::StrAppend(&text, "gateway ", gateway.name(), ": ",
                    !changes                     ? "unchanged"
                    : gateway.old_version() == 0 ? "new"
                                                 : "changed",
                    "\n");
    for (const auto& change : gateway.changes()) {
      absl::StrAppend(&text, ChangeLine(change, color));
    }
  }
  return text;
}

std::string PlanSummary(const v1::ApplyResponse& plan) {
  const auto apps = std::count_if(plan.apps().begin(), plan.apps().end(),
                                  [](const v1::ApplyResponse::App& app) { return IsPending(app); });
  std::string what;
  if (apps > 0) what = Count(static_cast<int>(apps), "app");
  if (!plan.gateways().empty()) {
    absl::StrAppend(&what, what.empty() ? "" : ", ", Count(plan.gateways_size(), "gateway"));
  }
  return what.empty() ? "nothing to change" : absl::StrCat(what, " to change");
}

}  // namespace pando::ctl
