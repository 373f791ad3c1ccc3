// Finds an instance that an earlier life of the agent left: by the record its shim wrote, where
// that shim still runs, else by what the shim says. Waits for nobody: a shim that hangs costs no
// time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "agent/core/instance.h"
#include "agent/instance_dir.h"
#include "agent/process.h"

namespace pando::agent {

struct FoundInstance {
  Remains remains;
  std::optional<SpawnedShim> shim;   // of an instance that runs; session and pidfd are open
  std::optional<StateRecord> state;  // as it is on the disk
};

// Used on one thread. Keeps its connection to the shim from one look to the next.
class InstanceSearch {
 public:
  // `max_memory_bytes` is what it was held to.
  InstanceSearch(InstanceDir dir, std::string boot_id, uint64_t max_memory_bytes)
      : dir_(std::move(dir)), boot_id_(std::move(boot_id)), max_memory_bytes_(max_memory_bytes) {}

  // Kills what is left of an app whose shim is gone. An error, for people: not known yet, since a
  // shim is just starting or ending, or what is left is still dying; look again some ms later.
  // `late`: what could not be killed by now is told and left, and keeps nobody waiting.
  absl::StatusOr<FoundInstance> Look(bool late);

 private:
  absl::Status Connect();
  std::optional<RunRecord> Recorded() const;
  absl::StatusOr<RunRecord> Ask();
  FoundInstance Running(const RunRecord& run);
  absl::StatusOr<FoundInstance> Ended(bool late) const;

  InstanceDir dir_;
  std::string boot_id_;
  uint64_t max_memory_bytes_;
  std::optional<SpawnedShim> shim_;
};

}  // namespace pando::agent
