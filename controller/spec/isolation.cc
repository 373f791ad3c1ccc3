#include "controller/spec/isolation.h"

#include <yaml-cpp/emitter.h>
#include <yaml-cpp/emittermanip.h>

#include <string>

#include "controller/spec/syntax.h"

namespace pando::controller {
namespace {

constexpr size_t kMaxEnvFiles = 16;
constexpr size_t kMaxReadOnly = 16;

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
