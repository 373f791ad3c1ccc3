// The records of store.proto as keys and bytes, and back to the core's values.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controller/core/cluster.h"
#include "controller/store/store.h"
#include "pando/v1/store.pb.h"

namespace pando::controller {

namespace v1 = ::pando::v1;

// What is kept of events: the newest, none older than this.
inline constexpr uint64_t kMaxEvents = 10'000;
inline constexpr int64_t kMaxEventAgeMs = int64_t{30} * 24 * 3'600 * 1'000;

// One write of the core as a write of the store. RevisionConfig.payload is a serialized
// pando.v1.AppSpec.
StoreWrite ToStoreWrite(const Write& write, int64_t now_unix_ms);

// "event/00000000000000000042". Adding event n deletes event n - kMaxEvents.
std::vector<StoreWrite> ToStoreWrites(const v1::EventRecord& event);
StoreWrite DeleteEvent(uint64_t sequence);

// "answer/00000000000000000042"
StoreWrite ToStoreWrite(const v1::AnswerRecord& answer);
StoreWrite DeleteAnswer(uint64_t sequence);
// All of them, by sequence number.
absl::StatusOr<std::vector<v1::AnswerRecord>> LoadAnswers(Store& store);

struct LoadedState {
  DurableState cluster;
  v1::ClusterRecord record;  // term already raised by one and committed
  uint64_t next_event_sequence = 1;
};

// Reads everything and raises the term; makes the cluster record and the default gateway when the
// store is empty. kDataLoss names the key that cannot be read; kAborted: another leader starts.
absl::StatusOr<LoadedState> LoadState(Store& store);

// The newest `limit` events (0: all), oldest first.
absl::StatusOr<std::vector<v1::EventRecord>> LoadEvents(Store& store, size_t limit);

// The core's view of a spec: what it needs by name, the rest as payload (without `replicas`).
RevisionConfig ToRevisionConfig(const v1::AppSpec& spec);
v1::AppSpec ToAppSpec(const RevisionConfig& config);
// Likewise of a gateway, with the rest as options.
Gateway ToGateway(const v1::Gateway& spec);
v1::Gateway ToGatewaySpec(const Gateway& gateway);

}  // namespace pando::controller
