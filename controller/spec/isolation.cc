#include "controller/spec/isolation.h"

#include <yaml-cpp/emitter.h>
#include <yaml-cpp/emittermanip.h>

#include <algorithm>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace pando::controller {
namespace {

constexpr size_t kMaxEnvFiles = 16;
constexpr size_t kMaxReadOnly = 16;
constexpr size_t kLongestPath = 4'095;
constexpr size_t kLongestAccount = 64;
constexpr int64_t kLargestId = 4'294'967'294;  // one less than "none"

std::string Refused(std::string_view text, std::string_view what, std::string_view allowed) {
  return absl::StrCat(Quoted(text), " is not ", what, " (allowed: ", allowed, ")");
}

bool IsAccountName(std::string_view text) {
  if (text.empty() || text.size() > kLongestAccount || text[0] == '-') return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == '$';
  });
}

// A name, or a number that is an id.
Complaint CheckAccount(std::string_view text) {
  const bool digits = !text.empty() && std::all_of(text.begin(), text.end(),
                                                   [](char c) { return c >= '0' && c <= '9'; });
  int64_t id = 0;
  const bool fine = digits ? absl::SimpleAtoi(text, &id) && id <= kLargestId : IsAccountName(text);
  if (fine) return std::nullopt;
  return Refused(text, "a user or group", "a name like www-data, or a number");
}

Complaint CheckNodePath(std::string_view text) {
  if (!text.empty() && text[0] == '/' && text.size() <= kLongestPath) return std::nullopt;
  return Refused(text, "a path", "an absolute one on the nodes, for example /etc");
}

Complaint CheckEnvFile(std::string_view text) {
  if (!text.empty() && text.size() <= kLongestPath) return std::nullopt;
  return Refused(text, "a file", "a path on the nodes, relative to dir, for example .env");
}

template <auto Set>
void ReadFlag(const Input& value, v1::Isolation& into) {
  if (const auto wanted = value.Bool()) (into.*Set)(*wanted);
}

constexpr Field<v1::Isolation> kFields[] = {
    {"user",
     [](const Input& value, v1::Isolation& into) {
       if (auto user = value.Text(CheckAccount)) into.set_user(*std::move(user));
     }},
    {"group",
     [](const Input& value, v1::Isolation& into) {
       if (auto group = value.Text(CheckAccount)) into.set_group(*std::move(group));
     }},
    {"allow_new_privileges", ReadFlag<&v1::Isolation::set_allow_new_privileges>},
    {"private_tmp", ReadFlag<&v1::Isolation::set_private_tmp>},
    {"read_only",
     [](const Input& value, v1::Isolation& into) {
       value.ForEachItem(kMaxReadOnly, [&](const Input& item) {
         if (auto path = item.Text(CheckNodePath)) into.add_read_only(*std::move(path));
       });
     }},
};

void EmitList(YAML::Emitter& out, const char* key,
              const google::protobuf::RepeatedPtrField<std::string>& texts) {
  if (texts.empty()) return;
  out << YAML::Key << key << YAML::Value << YAML::Flow << YAML::BeginSeq;
  for (const std::string& text : texts) out << YAML::DoubleQuoted << text;
  out << YAML::EndSeq;
}

}  // namespace

void ReadIsolation(const Input& value, v1::AppSpec& into) {
  ReadFields<v1::Isolation>(value, kFields, *into.mutable_isolation());
}

void ReadEnvFiles(const Input& value, v1::AppSpec& into) {
  value.ForEachItem(kMaxEnvFiles, [&](const Input& item) {
    if (auto file = item.Text(CheckEnvFile)) into.add_env_files(*std::move(file));
  });
}

void EmitIsolation(YAML::Emitter& out, const v1::AppSpec& spec) {
  if (!spec.has_isolation()) return;
  const v1::Isolation& isolation = spec.isolation();
  out << YAML::Key << "isolation" << YAML::Value << YAML::BeginMap;
  const auto text = [&out](const char* key, const std::string& value) {
    if (!value.empty()) out << YAML::Key << key << YAML::Value << YAML::DoubleQuoted << value;
  };
  const auto flag = [&out](const char* key, bool value) {
    if (value) out << YAML::Key << key << YAML::Value << true;
  };
  text("user", isolation.user());
  text("group", isolation.group());
  flag("allow_new_privileges", isolation.allow_new_privileges());
  flag("private_tmp", isolation.private_tmp());
  EmitList(out, "read_only", isolation.read_only());
  out << YAML::EndMap;
}

void EmitEnvFiles(YAML::Emitter& out, const v1::AppSpec& spec) {
  EmitList(out, "env_files", spec.env_files());
}

}  // namespace pando::controller
