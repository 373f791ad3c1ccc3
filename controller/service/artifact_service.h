// The artifacts' transfers: ctl's uploads and the agents' fetches. Each runs in a thread of gRPC's
// own and blocks there on the disk and on its peer; nothing here touches the control loop.
#pragma once

#include <atomic>

#include "controller/service/artifact_store.h"
#include "pando/v1/artifact.grpc.pb.h"

namespace pando::controller {

class ArtifactService final : public v1::Artifacts::Service {
 public:
  explicit ArtifactService(ArtifactStore& store) : store_(store) {}  // outlives it

  grpc::Status Stat(grpc::ServerContext* context, const v1::StatArtifactRequest* request,
                    v1::ArtifactState* response) override;
  grpc::Status Upload(grpc::ServerContext* context, grpc::ServerReader<v1::ArtifactUpload>* reader,
                      v1::ArtifactState* response) override;
  grpc::Status Fetch(grpc::ServerContext* context, const v1::FetchArtifactRequest* request,
                     grpc::ServerWriter<v1::ArtifactChunk>* writer) override;

 private:
  ArtifactStore& store_;
  std::atomic<int> transfers_{0};
};

}  // namespace pando::controller
