#include "common/runtime/version.h"

namespace pando {

std::string_view Version() { return PANDO_VERSION; }

}  // namespace pando
