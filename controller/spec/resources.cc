#include "controller/spec/resources.h"

#include <yaml-cpp/emitter.h>
#include <yaml-cpp/emittermanip.h>

#include "controller/spec/quantities.h"

namespace pando::controller {
namespace {

constexpr uint64_t kMinMemory = 1 << 20;
constexpr uint64_t kMinMaxMemory = 4 << 20;  // less, and no program comes up
constexpr uint64_t kMaxMemory = 1ull << 44;
constexpr uint32_t kMaxCpu = 1'024'000;
constexpr uint32_t kMinMaxCpu = 10;  // a millisecond in each tenth of a second, the kernel's least
constexpr uint32_t kMaxProcesses = 4'194'304;
constexpr uint32_t kMinOpenFiles = 16;
constexpr uint32_t kMaxOpenFiles = 1'048'576;

template <auto Set, uint32_t Min>
void ReadCpu(const Input& value, v1::Resources& into) {
  if (const auto millis = value.Cpu(Min, kMaxCpu)) (into.*Set)(*millis);
}

template <auto Set, uint64_t Min>
void ReadMemory(const Input& value, v1::Resources& into) {
  if (const auto bytes = value.Size(Min, kMaxMemory)) (into.*Set)(*bytes);
}

template <auto Set, uint32_t Min, uint32_t Max>
void ReadCount(const Input& value, v1::Resources& into) {
  if (const auto number = value.Whole(Min, Max)) (into.*Set)(*number);
}

using Resources = v1::Resources;
constexpr Field<Resources> kFields[] = {
    {"cpu", ReadCpu<&Resources::set_cpu_millis, 1>},
    {"memory", ReadMemory<&Resources::set_memory_bytes, kMinMemory>},
    {"max_cpu", ReadCpu<&Resources::set_max_cpu_millis, kMinMaxCpu>},
    {"max_memory", ReadMemory<&Resources::set_max_memory_bytes, kMinMaxMemory>},
    {"max_processes", ReadCount<&Resources::set_max_processes, 1, kMaxProcesses>},
    {"max_open_files", ReadCount<&Resources::set_max_open_files, kMinOpenFiles, kMaxOpenFiles>},
};

}  // namespace

void ReadResources(const Input& value, v1::Resources& into) {
  ReadFields<v1::Resources>(value, kFields, into);
  if (into.max_cpu_millis() > 0 && into.max_cpu_millis() < into.cpu_millis()) {
    value.Fail("max_cpu is less than cpu");
  }
  if (into.max_memory_bytes() > 0 && into.max_memory_bytes() < into.memory_bytes()) {
    value.Fail("max_memory is less than memory");
  }
}

void EmitResources(YAML::Emitter& out, const v1::Resources& resources) {
  using YAML::Key;
  using YAML::Value;
  if (resources.ByteSizeLong() == 0) return;
  out << Key << "resources" << Value << YAML::BeginMap;
  const auto cpu = [&out](const char* key, uint32_t millis) {
    if (millis > 0) out << Key << key << Value << FormatCpu(millis);
  };
  const auto size = [&out](const char* key, uint64_t bytes) {
    if (bytes > 0) out << Key << key << Value << FormatSize(bytes);
  };
  const auto count = [&out](const char* key, uint32_t number) {
    if (number > 0) out << Key << key << Value << number;
  };
  cpu("cpu", resources.cpu_millis());
  size("memory", resources.memory_bytes());
  cpu("max_cpu", resources.max_cpu_millis());
  size("max_memory", resources.max_memory_bytes());
  count("max_processes", resources.max_processes());
  count("max_open_files", resources.max_open_files());
  out << YAML::EndMap;
}

}  // namespace pando::controller
