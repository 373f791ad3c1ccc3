// The artifacts' transfers: ctl's uploads and the agents' fetches. Each runs in a thread of gRPC's
// own and blocks there on the disk and on its peer; nothing here touches the control loop.
#pragma once

#include <atomic>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "common/runtime/metrics.h"
#include "controller/service/artifact_metrics.h"
#include "controller/service/artifact_store.h"
#include "pando/v1/artifact.grpc.pb.h"

namespace pando::controller {

class ArtifactService final : public v1::Artifacts::Service {
 public:
  // `store` and `metrics` outlive it.
  ArtifactService(ArtifactStore& store, Metrics& metrics)
      : store_(store),
        uploads_(metrics, TransferMetrics::Direction::kUpload),
        fetches_(metrics, TransferMetrics::Direction::kFetch) {}

  grpc::Status Stat(grpc::ServerContext* context, const v1::StatArtifactRequest* request,
                    v1::ArtifactState* response) override;
  grpc::Status Upload(grpc::ServerContext* context, grpc::ServerReader<v1::ArtifactUpload>* reader,
                      v1::ArtifactState* response) override;
  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchArtifactRequest* request,
                     grpc::ServerWriter<v1::ArtifactChunk>* writer) override;

 private:
  // To their ends; kCancelled: the peer is gone.
  absl::Status Receive(const grpc::ServerContext& context,
                       grpc::ServerReader<v1::ArtifactUpload>& reader, v1::ArtifactState& response);
  absl::Status Send(const grpc::ServerContext& context, const v1::FetchArtifactRequest& request,
                    grpc::ServerWriter<v1::ArtifactChunk>& writer);
  // With its place among those that may run at once.
  absl::Status Counted(TransferMetrics& metrics, absl::FunctionRef<absl::Status()> transfer);

  ArtifactStore& store_;
  TransferMetrics uploads_;
  TransferMetrics fetches_;
  std::atomic<int> transfers_{0};
};

}  // namespace pando::controller
