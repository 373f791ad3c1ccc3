#include "agent/artifact_job.h"

#include <fcntl.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/install_step.h"
#include "agent/process.h"
#include "artifact/core/source_name.h"
#include "artifact/ownership.h"
#include "artifact/seal.h"
#include "artifact/sha256.h"
#include "artifact/unpack.h"
#include "common/base/status_macros.h"
#include "common/runtime/data_dir.h"
#include "common/runtime/digest.h"
#include "common/runtime/unique_fd.h"
#include "pando/v1/artifact.grpc.pb.h"

namespace pando::agent {
namespace {

constexpr int kKeepaliveMs = 5'000;
constexpr int kWindowBytes = 4 << 20;

std::string Size(uint64_t bytes) {
  return bytes < (1 << 20) ? absl::StrCat((bytes + 1'023) >> 10, " KiB")
                           : absl::StrCat((bytes + (1 << 19)) >> 20, " MiB");
}

absl::Status DiskError(const std::string& path, int error) {
  if (error == ENOSPC || error == EDQUOT) {
    return absl::ResourceExhaustedError(absl::StrCat("no room on the node's disk for ", path));
  }
  return absl::ErrnoToStatus(error, path);
}

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveMs);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  // Not the session's connection: a gigabyte is not to stand before its heartbeats.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  // A window that is found by probing takes tens of MiB beside a disk that is slower than the line.
  arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, kWindowBytes);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// What is worth another try is kUnavailable.
absl::Status FromGrpc(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::OK:
      return absl::OkStatus();
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::CANCELLED:
    case grpc::StatusCode::DEADLINE_EXCEEDED:
    case grpc::StatusCode::RESOURCE_EXHAUSTED:   // too many transfers
    case grpc::StatusCode::FAILED_PRECONDITION:  // the offset: it was begun anew meanwhile
      return absl::UnavailableError(status.error_message());
    default:
      return absl::Status(static_cast<absl::StatusCode>(status.error_code()),
                          status.error_message());
  }
}

absl::Status WriteAll(int fd, const std::string& path, const std::string& bytes, uint64_t offset) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t written =
        pwrite(fd, bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset + done));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return DiskError(path, errno);
    done += static_cast<size_t>(written);
  }
  return absl::OkStatus();
}

}  // namespace

std::string ArtifactKey(const Artifact& artifact) {
  if (artifact.install.empty()) return artifact.digest;
  std::string step = absl::StrJoin(artifact.install, std::string(1, '\0'));
  if (!artifact.user.empty() || !artifact.group.empty()) {
    absl::StrAppend(&step, std::string(2, '\0'), artifact.user, ":", artifact.group);
  }
  return absl::StrCat(artifact.digest, "-", ContentVersion(step).substr(0, 12));
}

ArtifactPaths PathsOf(const std::string& dir, const Artifact& artifact) {
  const std::string tree = absl::StrCat(dir, "/", ArtifactKey(artifact));
  return {tree,
          absl::StrCat(tree, ".ok"),
          absl::StrCat(tree, ".part"),
          absl::StrCat(tree, ".packed"),
          absl::StrCat(tree, ".lock"),
          absl::StrCat(tree, ".home"),
          absl::StrCat(tree, ".log")};
}

void ArtifactJob::Stop() {
  stop_ = true;
  const std::lock_guard lock(mutex_);
  if (call_ != nullptr) call_->TryCancel();
}

absl::Status ArtifactJob::Run() {
  // Also inherited by the install step: one that outlived the agent still writes to the tree.
  const UniqueFd lock(open(paths_.lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!lock.valid()) return DiskError(paths_.lock, errno);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    return absl::UnavailableError("an install step of before still runs");
  }
  lock_fd_ = lock.get();
  if (access(paths_.marker.c_str(), F_OK) == 0) return absl::OkStatus();
  PANDO_RETURN_IF_ERROR(Fetch());
  PANDO_RETURN_IF_ERROR(UnpackAndInstall());
  step_("syncing");
  PANDO_RETURN_IF_ERROR(artifact::SealTree(paths_.tree));
  PANDO_RETURN_IF_ERROR(artifact::SyncTree(paths_.tree));
  PANDO_ASSIGN_OR_RETURN(const uint64_t bytes, artifact::TreeBytes(paths_.tree));
  PANDO_RETURN_IF_ERROR(WriteFileAtomically(paths_.marker, absl::StrCat(bytes, "\n")));
  unlink(paths_.packed.c_str());
  return absl::OkStatus();
}

absl::Status ArtifactJob::Fetch() {
  if (access(paths_.packed.c_str(), F_OK) == 0) return absl::OkStatus();
  step_(absl::StrCat("fetching ", Size(artifact_.size_bytes)));
  const UniqueFd file(open(paths_.part.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  struct stat info {};
  if (!file.valid() || fstat(file.get(), &info) != 0) return DiskError(paths_.part, errno);
  if (static_cast<uint64_t>(info.st_size) < artifact_.size_bytes || info.st_size == 0) {
    const absl::Status fetched = FetchRest(file.get(), static_cast<uint64_t>(info.st_size));
    metrics_.CountFetch(fetched);
    PANDO_RETURN_IF_ERROR(fetched);
  }
  step_("verifying");
  PANDO_ASSIGN_OR_RETURN(const std::string digest,
                         artifact::Sha256OfFile(paths_.part, [this] { return stopped(); }));
  if (digest != artifact_.digest) {
    unlink(paths_.part.c_str());
    return absl::DataLossError(absl::StrCat("the bytes that came are not those of ",
                                            artifact::DigestName(artifact_.digest)));
  }
  if (rename(paths_.part.c_str(), paths_.packed.c_str()) != 0) {
    return DiskError(paths_.packed, errno);
  }
  return absl::OkStatus();
}

absl::Status ArtifactJob::FetchRest(int file, uint64_t offset) {
  const auto stub = v1::Artifacts::NewStub(MakeChannel(controller_));
  grpc::ClientContext context;
  {
    const std::lock_guard lock(mutex_);
    if (stopped()) return absl::CancelledError("stopped");
    call_ = &context;
  }
  v1::FetchArtifactRequest request;
  request.set_digest(artifact_.digest);
  request.set_offset(offset);
  const auto reader = stub->Fetch(&context, request);
  absl::Status kept;
  v1::ArtifactChunk chunk;
  while (kept.ok() && reader->Read(&chunk)) {
    if (artifact_.size_bytes > 0 && offset + chunk.data().size() > artifact_.size_bytes) {
      kept = absl::DataLossError("the controller sends more than the spec says");
    } else {
      kept = WriteAll(file, paths_.part, chunk.data(), offset);
    }
    offset += chunk.data().size();
    metrics_.CountFetchedBytes(chunk.data().size());
  }
  if (!kept.ok()) context.TryCancel();
  const grpc::Status ended = reader->Finish();
  {
    const std::lock_guard lock(mutex_);
    call_ = nullptr;
  }
  if (!kept.ok()) return kept;
  if (stopped()) return absl::CancelledError("stopped");
  if (ended.error_code() == grpc::StatusCode::FAILED_PRECONDITION) {
    ftruncate(file, 0);
  }
  return FromGrpc(ended);
}

absl::Status ArtifactJob::UnpackAndInstall() {
  step_("unpacking");
  Isolation isolation;
  isolation.user = artifact_.user;
  isolation.group = artifact_.group;
  PANDO_ASSIGN_OR_RETURN(account_, FindAccount(isolation));
  // What an earlier try left.
  PANDO_RETURN_IF_ERROR(artifact::RemoveTree(paths_.tree));
  if (mkdir(paths_.tree.c_str(), 0755) != 0) return DiskError(paths_.tree, errno);
  const absl::Status unpacked =
      artifact::Unpack(paths_.packed, paths_.tree, {}, [this] { return stopped(); });
  if (!unpacked.ok() && !absl::IsCancelled(unpacked)) {
    return absl::Status(unpacked.code(), absl::StrCat("cannot be unpacked: ", unpacked.message()));
  }
  PANDO_RETURN_IF_ERROR(unpacked);
  return artifact_.install.empty() ? absl::OkStatus() : Install();
}

absl::Status ArtifactJob::Install() {
  step_(absl::StrCat("installing: ", artifact_.install.back()));
  PANDO_RETURN_IF_ERROR(artifact::RemoveTree(paths_.home));
  if (mkdir(paths_.home.c_str(), 0700) != 0) return DiskError(paths_.home, errno);
  if (account_) {
    for (const std::string& path : {paths_.tree, paths_.home}) {
      PANDO_RETURN_IF_ERROR(artifact::GiveTree(path, account_->uid, account_->gid));
    }
  }
  absl::Status status = RunInstall();
  // Before the tree: what a package manager linked from there to here is linked no more.
  artifact::RemoveTree(paths_.home).IgnoreError();
  if (account_) {
    absl::Status taken = artifact::TakeTree(paths_.tree, account_->uid, account_->gid);
    if (!taken.ok()) taken = absl::AbortedError(absl::StrCat("install failed: ", taken.message()));
    status.Update(taken);
  }
  return status;
}

absl::Status ArtifactJob::RunInstall() {
  InstallStep step{.argv = artifact_.install,
                   .dir = paths_.tree,
                   .home = paths_.home,
                   .log = paths_.log,
                   .timeout = artifact_.install_timeout,
                   .lock_fd = lock_fd_};
  if (account_) {
    ShimLaunch launch;
    launch.instance_dir = paths_.tree;
    launch.app_dir = paths_.tree;
    launch.account = account_;
    step.runner = {shim_path_, "--run", "probe"};
    for (std::string& option : ShimArguments(launch)) step.runner.push_back(std::move(option));
    step.runner.emplace_back("--");
    step.user = account_->name;
  }
  const Instant began = clock_.Now();
  InstallResult result = RunInstallStep(step, [this] { return stopped(); });
  metrics_.CountInstall(result.status, std::chrono::duration_cast<Millis>(clock_.Now() - began));
  last_lines_ = std::move(result.last_lines);
  if (!result.status.ok()) last_lines_.push_back(absl::StrCat("all of it: ", paths_.log));
  return result.status;
}

}  // namespace pando::agent
