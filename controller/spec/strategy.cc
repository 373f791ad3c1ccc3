#include "controller/spec/strategy.h"

#include <yaml-cpp/emittermanip.h>

#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "controller/spec/mistakes.h"
#include "controller/spec/quantities.h"
#include "controller/spec/readers.h"

namespace pando::controller {
namespace {

constexpr uint32_t kMaxReplicas = 10'000;
constexpr size_t kMaxSteps = 20;

bool ParseWhole(std::string_view text, uint32_t most, uint32_t* number) {
  if (text.empty() || text.find_first_not_of("0123456789") != std::string_view::npos) return false;
  return absl::SimpleAtoi(absl::string_view(text.data(), text.size()), number) && *number <= most;
}

// "5%"
std::optional<uint32_t> ReadPercent(const Input& value, uint32_t least, uint32_t most) {
  const std::optional<std::string> text = value.Text();
  if (!text) return std::nullopt;
  uint32_t number = 0;
  if (text->empty() || text->back() != '%' ||
      !ParseWhole(std::string_view(*text).substr(0, text->size() - 1), most, &number) ||
      number < least) {
    value.Fail(
        absl::StrCat(Quoted(*text), " is not a share (allowed: ", least, "% to ", most, "%)"));
    return std::nullopt;
  }
  return number;
}

// "25%" or "2"
void ReadAmount(const Input& value, v1::Strategy::Amount& into) {
  const std::optional<std::string> text = value.Text();
  if (!text) return;
  const bool percent = !text->empty() && text->back() == '%';
  const std::string_view digits =
      std::string_view(*text).substr(0, text->size() - (percent ? 1 : 0));
  uint32_t number = 0;
  if (!ParseWhole(digits, percent ? 100 : kMaxReplicas, &number)) {
    value.Fail(absl::StrCat(Quoted(*text),
                            " is neither a number of instances nor a share (allowed:"
                            " 0 to ",
                            kMaxReplicas, ", or 0% to 100%)"));
    return;
  }
  into.set_value(number);
  into.set_percent(percent);
}

void ReadSteps(const Input& value, v1::Strategy::Canary& into) {
  into.clear_steps();
  value.ForEachItem(kMaxSteps, [&](const Input& item) {
    const auto percent = ReadPercent(item, 1, 99);
    if (!percent) return;
    if (into.steps_size() > 0 && *percent <= into.steps(into.steps_size() - 1)) {
      item.Fail("is not more than the step before it");
    } else {
      into.add_steps(*percent);
    }
  });
}

constexpr Field<v1::Strategy::Canary> kCanaryFields[] = {
    {"steps", ReadSteps},
    {"interval", ReadDuration<&v1::Strategy::Canary::set_interval_ms, 0, kDay>},
};

constexpr Field<v1::Strategy::Evidence> kEvidenceFields[] = {
    {"min_requests",
     [](const Input& value, v1::Strategy::Evidence& into) {
       if (const auto number = value.Whole(1, 1'000'000)) into.set_min_requests(*number);
     }},
    {"errors",
     [](const Input& value, v1::Strategy::Evidence& into) {
       if (const auto percent = ReadPercent(value, 0, 100)) into.set_errors_percent(*percent);
     }},
    {"latency",
     [](const Input& value, v1::Strategy::Evidence& into) {
       if (const auto percent = ReadPercent(value, 100, 10'000)) into.set_latency_percent(*percent);
     }},
};

template <auto Set>
void ReadBool(const Input& value, v1::Strategy& into) {
  if (const auto chosen = value.Bool()) (into.*Set)(*chosen);
}

constexpr Field<v1::Strategy> kStrategyFields[] = {
    {"max_surge",
     [](const Input& value, v1::Strategy& into) { ReadAmount(value, *into.mutable_max_surge()); }},
    {"max_unavailable",
     [](const Input& value, v1::Strategy& into) {
       ReadAmount(value, *into.mutable_max_unavailable());
     }},
    {"min_ready", ReadDuration<&v1::Strategy::set_min_ready_ms, 0, kHour>},
    {"progress_deadline", ReadDuration<&v1::Strategy::set_progress_deadline_ms, kSecond, kDay>},
    {"auto_rollback", ReadBool<&v1::Strategy::set_auto_rollback>},
    {"observe", ReadDuration<&v1::Strategy::set_observe_ms, 0, kHour>},
    {"canary",
     [](const Input& value, v1::Strategy& into) {
       ReadFields<v1::Strategy::Canary>(value, kCanaryFields, *into.mutable_canary());
       if (!value.Find("steps")) value.FailMissing("steps", "shares, for example [5%, 25%, 50%]");
     }},
    {"blue_green", ReadBool<&v1::Strategy::set_blue_green>},
    {"gate",
     [](const Input& value, v1::Strategy& into) {
       if (const auto chosen = value.OneOf({"auto", "manual"})) into.set_manual_gate(*chosen == 1);
     }},
    {"evidence",
     [](const Input& value, v1::Strategy& into) {
       ReadFields<v1::Strategy::Evidence>(value, kEvidenceFields, *into.mutable_evidence());
     }},
};

std::string Text(const v1::Strategy::Amount& amount) {
  return absl::StrCat(amount.value(), amount.percent() ? "%" : "");
}

std::string Percent(uint32_t number) { return absl::StrCat(number, "%"); }

}  // namespace

v1::Strategy DefaultStrategy() {
  v1::Strategy strategy;
  strategy.mutable_max_surge()->set_value(25);
  strategy.mutable_max_surge()->set_percent(true);
  strategy.mutable_max_unavailable();
  strategy.set_progress_deadline_ms(600 * kSecond);
  strategy.set_auto_rollback(true);
  strategy.set_observe_ms(2 * kSecond);
  strategy.mutable_canary()->set_interval_ms(60 * kSecond);
  strategy.mutable_evidence()->set_min_requests(20);
  strategy.mutable_evidence()->set_errors_percent(1);
  strategy.mutable_evidence()->set_latency_percent(200);
  return strategy;
}

void ReadStrategy(const Input& value, v1::Strategy& into) {
  ReadFields<v1::Strategy>(value, kStrategyFields, into);
  if (into.max_surge().value() == 0 && into.max_unavailable().value() == 0) {
    value.Fail(
        "max_surge and max_unavailable are both 0, so nothing could be replaced (raise one)");
  }
  if (into.blue_green() && into.canary().steps_size() > 0) {
    value.Fail("has both canary and blue_green (choose one)");
  }
  if (into.manual_gate() && !into.blue_green() && into.canary().steps_size() == 0) {
    value.Fail("gate: manual needs steps that end (add canary or blue_green)");
  }
}

void EmitStrategy(YAML::Emitter& out, const v1::Strategy& strategy) {
  using YAML::Key;
  using YAML::Value;
  out << YAML::BeginMap;
  out << Key << "max_surge" << Value << Text(strategy.max_surge());
  out << Key << "max_unavailable" << Value << Text(strategy.max_unavailable());
  out << Key << "min_ready" << Value << FormatDuration(strategy.min_ready_ms());
  out << Key << "progress_deadline" << Value << FormatDuration(strategy.progress_deadline_ms());
  out << Key << "auto_rollback" << Value << strategy.auto_rollback();
  out << Key << "observe" << Value << FormatDuration(strategy.observe_ms());
  if (strategy.canary().steps_size() > 0) {
    out << Key << "canary" << Value << YAML::BeginMap;
    out << Key << "steps" << Value << YAML::Flow << YAML::BeginSeq;
    for (const uint32_t step : strategy.canary().steps()) out << Percent(step);
    out << YAML::EndSeq;
    out << Key << "interval" << Value << FormatDuration(strategy.canary().interval_ms());
    out << YAML::EndMap;
  }
  if (strategy.blue_green()) out << Key << "blue_green" << Value << true;
  if (strategy.manual_gate()) out << Key << "gate" << Value << "manual";
  out << Key << "evidence" << Value << YAML::BeginMap;
  out << Key << "min_requests" << Value << strategy.evidence().min_requests();
  out << Key << "errors" << Value << Percent(strategy.evidence().errors_percent());
  out << Key << "latency" << Value << Percent(strategy.evidence().latency_percent());
  out << YAML::EndMap;
  out << YAML::EndMap;
}

}  // namespace pando::controller
