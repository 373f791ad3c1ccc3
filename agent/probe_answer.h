// What a probe of an instance brought.
#pragma once

#include <functional>
#include <string>

namespace pando::agent {

struct ProbeAnswer {
  std::string failure;  // empty when it passed: "connection refused", "HTTP status 503"
  // False: the host could not ask (out of descriptors, processes, memory), which says nothing about
  // the instance.
  bool asked = true;

  static ProbeAnswer NotAsked(std::string why) { return {std::move(why), false}; }
};

using ProbeDone = std::function<void(const ProbeAnswer& answer)>;

}  // namespace pando::agent
