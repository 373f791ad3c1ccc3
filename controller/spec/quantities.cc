#include "controller/spec/quantities.h"

#include <array>
#include <span>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace pando::controller {
namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

// From the largest to the smallest; the first name of a factor is the one that is written.
constexpr Unit kDurations[] = {{"h", 3'600'000}, {"m", 60'000}, {"s", 1'000}, {"ms", 1}};
constexpr Unit kSizes[] = {
    {"Ti", 1ull << 40},
    {"TiB", 1ull << 40},
    {"T", 1'000'000'000'000},
    {"TB", 1'000'000'000'000},
    {"Gi", 1ull << 30},
    {"GiB", 1ull << 30},
    {"G", 1'000'000'000},
    {"GB", 1'000'000'000},
    {"Mi", 1ull << 20},
    {"MiB", 1ull << 20},
    {"M", 1'000'000},
    {"MB", 1'000'000},
    {"Ki", 1ull << 10},
    {"KiB", 1ull << 10},
    {"K", 1'000},
    {"KB", 1'000},
    {"B", 1},
};
constexpr Unit kCpus[] = {{"", 1'000}, {"m", 1}};

constexpr size_t kMaxWholeDigits = 12;
constexpr size_t kMaxFractionDigits = 9;

// digits[.digits] times `factor`, if that is a whole number.
std::optional<uint64_t> Scale(std::string_view decimal, uint64_t factor) {
  if (!IsDecimal(decimal)) return std::nullopt;
  const size_t point = decimal.find('.');
  const std::string_view whole = decimal.substr(0, point);
  const std::string_view fraction =
      point == std::string_view::npos ? std::string_view() : decimal.substr(point + 1);
  if (whole.size() > kMaxWholeDigits || fraction.size() > kMaxFractionDigits) return std::nullopt;
  unsigned __int128 value = 0;  // 21 digits times 2^40 fit
  unsigned __int128 divisor = 1;
  for (const char digit : whole) value = value * 10 + static_cast<unsigned>(digit - '0');
  for (const char digit : fraction) {
    value = value * 10 + static_cast<unsigned>(digit - '0');
    divisor *= 10;
  }
  value *= factor;
  if (value % divisor != 0 || value / divisor > UINT64_MAX) return std::nullopt;
  return static_cast<uint64_t>(value / divisor);
}

std::optional<uint64_t> ParseWithUnit(std::string_view text, std::span<const Unit> units) {
  const size_t number_end = text.find_first_not_of("0123456789.");
  const std::string_view number = text.substr(0, number_end);
  const std::string_view name =
      number_end == std::string_view::npos ? std::string_view() : text.substr(number_end);
  for (const Unit& unit : units) {
    if (unit.name == name) return Scale(number, unit.factor);
  }
  return std::nullopt;
}

// `zero` is the unit of nothing: "0s" reads better than "0h".
std::string FormatWithUnit(uint64_t value, std::span<const Unit> units, std::string_view zero) {
  if (value == 0) return absl::StrCat("0", std::string(zero));
  for (const Unit& unit : units) {
    if (value % unit.factor == 0) {
      return absl::StrCat(value / unit.factor, std::string(unit.name));
    }
  }
  return absl::StrCat(value);  // not reached: the smallest factor is 1
}

}  // namespace

bool IsDecimal(std::string_view text) {
  bool point = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (absl::ascii_isdigit(static_cast<unsigned char>(text[i]))) continue;
    if (text[i] != '.' || point || i == 0 || i + 1 == text.size()) return false;
    point = true;
  }
  return !text.empty();
}

std::optional<uint64_t> ParseDuration(std::string_view text) {
  return ParseWithUnit(text, kDurations);
}
std::string FormatDuration(uint64_t millis) { return FormatWithUnit(millis, kDurations, "s"); }

std::optional<uint64_t> ParseSize(std::string_view text) { return ParseWithUnit(text, kSizes); }
std::string FormatSize(uint64_t bytes) { return FormatWithUnit(bytes, kSizes, "B"); }

std::optional<uint64_t> ParseCpu(std::string_view text) { return ParseWithUnit(text, kCpus); }
std::string FormatCpu(uint64_t millis) { return FormatWithUnit(millis, kCpus, ""); }

}  // namespace pando::controller
