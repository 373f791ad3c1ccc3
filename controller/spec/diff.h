// What differs between two specs, field by field, in the words of the one who writes them: names
// are paths of keys ("env.LOG_LEVEL", "stop.grace"), values are as ToYaml writes them. What ToYaml
// does not tell apart is equal. Pure.
#pragma once

#include <string>
#include <vector>

#include "pando/v1/spec.pb.h"

namespace pando::controller {

namespace v1 = ::pando::v1;

struct FieldDifference {
  std::string field;
  std::string old_value;  // empty: was not there; an empty text is ""
  std::string new_value;  // empty: is not there any more

  bool operator==(const FieldDifference&) const = default;
};

// By field. Without `replicas`, which is not part of a release.
std::vector<FieldDifference> DiffSpecs(const v1::AppSpec& before, const v1::AppSpec& after);
// A default-constructed gateway is one that is not there.
std::vector<FieldDifference> DiffGateways(const v1::Gateway& before, const v1::Gateway& after);

}  // namespace pando::controller
