#include "controller/service/artifact_service.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "artifact/core/source_name.h"
#include "common/base/status_macros.h"
#include "common/runtime/log.h"
#include "controller/service/grpc_status.h"

namespace pando::controller {
namespace {

// Each holds a thread and a few chunks: the rest waits in the agents, which try again.
constexpr int kMaxTransfers = 64;
constexpr uint64_t kChunkBytes = 256 << 10;

absl::Status TooMany() {
  return absl::ResourceExhaustedError("too many artifacts are being transferred; try again soon");
}

}  // namespace

grpc::Status ArtifactService::Stat(grpc::ServerContext* /*context*/,
                                   const v1::StatArtifactRequest* request,
                                   v1::ArtifactState* response) {
  if (!artifact::IsDigest(request->digest())) {
    return ToGrpc(absl::InvalidArgumentError(absl::StrCat(
        "digest: \"", request->digest(), "\" is none (allowed: 64 hex digits in lower case)")));
  }
  const ArtifactStore::Kept kept = store_.Find(request->digest());
  response->set_complete(kept.complete);
  response->set_size_bytes(kept.bytes);
  return grpc::Status::OK;
}

absl::Status ArtifactService::Counted(TransferMetrics& metrics,
                                      absl::FunctionRef<absl::Status()> transfer) {
  metrics.Begin();
  const absl::Status status = ++transfers_ > kMaxTransfers ? TooMany() : transfer();
  --transfers_;
  metrics.End(status);
  return status;
}

grpc::Status ArtifactService::Upload(grpc::ServerContext* context,
                                     grpc::ServerReader<v1::ArtifactUpload>* reader,
                                     v1::ArtifactState* response) {
  return ToGrpc(Counted(uploads_, [&] { return Receive(*context, *reader, *response); }));
}

grpc::Status ArtifactService::Fetch(grpc::ServerContext* context,
                                    const v1::FetchArtifactRequest* request,
                                    grpc::ServerWriter<v1::ArtifactChunk>* writer) {
  return ToGrpc(Counted(fetches_, [&] { return Send(*context, *request, *writer); }));
}

absl::Status ArtifactService::Receive(const grpc::ServerContext& context,
                                      grpc::ServerReader<v1::ArtifactUpload>& reader,
                                      v1::ArtifactState& response) {
  v1::ArtifactUpload message;
  if (!reader.Read(&message) || !message.has_start()) {
    return absl::InvalidArgumentError("start: the first message must have it");
  }
  const v1::ArtifactUpload::Start start = message.start();
  PANDO_ASSIGN_OR_RETURN(const auto upload,
                         store_.Begin(start.digest(), start.size_bytes(), start.offset()));
  do {
    PANDO_RETURN_IF_ERROR(upload->Append(message.data()));
    uploads_.CountBytes(message.data().size());
  } while (reader.Read(&message));
  const auto cancelled = [&context] { return context.IsCancelled(); };
  if (cancelled()) return absl::CancelledError();
  if (const absl::Status status = upload->Finish(cancelled); !status.ok()) {
    LogWarn("artifact refused",
            {{"digest", start.digest()}, {"reason", std::string(status.message())}});
    return status;
  }
  LogInfo("artifact kept",
          {{"digest", start.digest()}, {"bytes", absl::StrCat(start.size_bytes())}});
  response.set_complete(true);
  response.set_size_bytes(start.size_bytes());
  return absl::OkStatus();
}

absl::Status ArtifactService::Send(const grpc::ServerContext& context,
                                   const v1::FetchArtifactRequest& request,
                                   grpc::ServerWriter<v1::ArtifactChunk>& writer) {
  PANDO_ASSIGN_OR_RETURN(const auto opened, store_.OpenToRead(request.digest()));
  if (request.offset() > opened.bytes) {
    return absl::FailedPreconditionError(
        absl::StrCat("offset: ", request.offset(), " (it has ", opened.bytes, " bytes)"));
  }
  v1::ArtifactChunk chunk;
  chunk.set_size_bytes(opened.bytes);
  for (uint64_t offset = request.offset(); offset < opened.bytes;) {
    std::string& data = *chunk.mutable_data();
    data.resize(std::min(kChunkBytes, opened.bytes - offset));
    const ssize_t got =
        pread(opened.file.get(), data.data(), data.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return absl::DataLossError("the artifact's file became shorter");
    data.resize(static_cast<size_t>(got));
    offset += static_cast<uint64_t>(got);
    if (context.IsCancelled() || !writer.Write(chunk)) return absl::CancelledError();
    fetches_.CountBytes(static_cast<uint64_t>(got));
  }
  return absl::OkStatus();
}

}  // namespace pando::controller
