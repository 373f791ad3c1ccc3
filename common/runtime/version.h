// The version this binary was built as.
#pragma once

#include <string_view>

namespace pando {

std::string_view Version();  // "0.1.0"

}  // namespace pando
