// Readers for the tables of keys: each reads a value into a field of a message M.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "controller/spec/input.h"
#include "controller/spec/syntax.h"
#include "pando/v1/spec.pb.h"

namespace pando::controller {

namespace v1 = ::pando::v1;

inline constexpr uint32_t kSecond = 1'000;
inline constexpr uint32_t kHour = 3'600 * kSecond;
inline constexpr uint32_t kDay = 24 * kHour;

template <auto Set, uint32_t Min, uint32_t Max, class M>
void ReadDuration(const Input& value, M& into) {
  if (const auto millis = value.Duration(Min, Max)) (into.*Set)(*millis);
}

template <auto Set, uint32_t Min, uint32_t Max, class M>
void ReadWhole(const Input& value, M& into) {
  if (const auto number = value.Whole(Min, Max)) (into.*Set)(*number);
}

template <auto Mutable, Complaint (*Check)(std::string_view), class M>
void ReadChecked(const Input& value, M& into) {
  if (auto text = value.Text(Check)) *(into.*Mutable)() = *std::move(text);
}

using TextMap = google::protobuf::Map<std::string, std::string>;

// A map whose keys and values are texts.
inline void ReadTextMap(const Input& value, Complaint (*check_key)(std::string_view),
                        Complaint (*check_value)(std::string_view), TextMap& into) {
  constexpr size_t kMaxEntries = 1'000;
  value.ForEachEntry(kMaxEntries, [&](const std::string& key, const Input& entry) {
    if (const Complaint complaint = check_key(key)) {
      entry.Fail(*complaint);
      return;
    }
    if (entry.node().kind == YamlNode::Kind::kNothing) {
      entry.Fail("has no value (write \"\" for an empty one)");
      return;
    }
    if (auto text = entry.Text(check_value)) into[key] = *std::move(text);
  });
}

inline Complaint Anything(std::string_view) { return std::nullopt; }

}  // namespace pando::controller
