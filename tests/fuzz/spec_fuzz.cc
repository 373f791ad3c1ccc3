// Whatever bytes come as a spec file: the parser answers, and what it accepts survives being
// written as YAML and read again.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "controller/spec/parse.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pando::controller;
  const std::string yaml(reinterpret_cast<const char*>(data), size);
  const auto specs = ParseSpecs(yaml, {"fuzz.yaml", "/base", "/file"});
  if (!specs.ok()) {
    if (!absl::IsInvalidArgument(specs.status())) std::abort();
    return 0;
  }
  for (const auto& spec : specs->apps) {
    const auto again = ParseSpecs(ToYaml(spec), {"again.yaml", "/", "/"});
    if (!again.ok() || again->apps.size() != 1) std::abort();
    // ToYaml sorts maps, so equal texts are equal specs.
    if (ToYaml(again->apps[0]) != ToYaml(spec)) std::abort();
  }
  return 0;
}
