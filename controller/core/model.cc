#include "controller/core/model.h"

#include "absl/strings/str_cat.h"

namespace pando::controller {

std::string InstanceName(const AppId& app, uint32_t slot) {
  return absl::StrCat(app.value, ".", slot);
}

}  // namespace pando::controller
