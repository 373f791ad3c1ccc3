#include "ctl/artifact_upload.h"

#include <fcntl.h>
#include <grpcpp/client_context.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "common/runtime/unique_fd.h"
#include "pando/v1/artifact.grpc.pb.h"

namespace pando::ctl {
namespace {

constexpr uint64_t kChunkBytes = 256 << 10;
constexpr std::chrono::seconds kStatTimeout{30};

grpc::Status CannotRead(const ArtifactFile& file, const char* why) {
  return {grpc::StatusCode::INTERNAL, absl::StrCat("cannot read ", file.path, ": ", why)};
}

}  // namespace

grpc::Status UploadOnce(const std::shared_ptr<grpc::Channel>& channel, const ArtifactFile& file,
                        const UploadProgress& progress) {
  const auto stub = v1::Artifacts::NewStub(channel);
  v1::StatArtifactRequest stat;
  stat.set_digest(file.digest);
  v1::ArtifactState state;
  {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kStatTimeout);
    if (grpc::Status status = stub->Stat(&context, stat, &state); !status.ok()) return status;
  }
  // A part that is too long is none of this file's: from the start.
  uint64_t offset = state.size_bytes() <= file.bytes ? state.size_bytes() : 0;
  progress(state.complete() ? file.bytes : offset);
  if (state.complete()) return grpc::Status::OK;

  const UniqueFd fd(open(file.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return CannotRead(file, std::strerror(errno));
  grpc::ClientContext
      context;  // no deadline: large files and thin lines; keepalive sees to the dead
  v1::ArtifactState result;
  const auto writer = stub->Upload(&context, &result);
  v1::ArtifactUpload message;
  message.mutable_start()->set_digest(file.digest);
  message.mutable_start()->set_size_bytes(file.bytes);
  message.mutable_start()->set_offset(offset);
  bool open = writer->Write(message);
  message.clear_start();
  while (open && offset < file.bytes) {
    std::string& data = *message.mutable_data();
    data.resize(std::min(kChunkBytes, file.bytes - offset));
    const ssize_t got = pread(fd.get(), data.data(), data.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      const char* const why = got < 0 ? std::strerror(errno) : "it became shorter";
      context.TryCancel();
      writer->Finish();
      return CannotRead(file, why);
    }
    data.resize(static_cast<size_t>(got));
    open = writer->Write(message);
    if (!open) break;  // the answer says why
    offset += static_cast<uint64_t>(got);
    progress(offset);
  }
  writer->WritesDone();
  return writer->Finish();
}

}  // namespace pando::ctl
