// The words a spec may use for what is an enumeration inside.
#pragma once

#include <string>
#include <vector>

#include "pando/v1/spec.pb.h"

namespace pando::controller {

namespace v1 = ::pando::v1;

const std::vector<std::string>& PolicyNames();
v1::LoadBalancing::Policy PolicyAt(size_t index);
// The word of `policy`.
const std::string& PolicyName(v1::LoadBalancing::Policy policy);

const std::vector<std::string>& SignalNames();

}  // namespace pando::controller
