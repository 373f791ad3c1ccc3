#include "proxy/control/table_file.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/runtime/data_dir.h"
#include "common/runtime/digest.h"
#include "common/runtime/log.h"
#include "envoy/service/discovery/v3/discovery.pb.h"
#include "proxy/control/xds_decode.h"

namespace pando::proxy {
namespace {

constexpr char kMagic[] = "pando-proxy-table 1 ";

}  // namespace

std::string SerializeSnapshot(const XdsSnapshot& snapshot) {
  envoy::service::discovery::v3::DeltaDiscoveryResponse message;
  for (const XdsType type : kXdsTypes) {
    for (const auto& [name, resource] : snapshot.of(type)) {
      auto& added = *message.add_resources();
      added.set_name(name);
      added.set_version(resource.version);
      added.mutable_resource()->ParseFromString(resource.any_bytes);
    }
  }
  const std::string body = message.SerializeAsString();
  return absl::StrCat(kMagic, ContentVersion(body), "\n", body);
}

absl::StatusOr<XdsSnapshot> ParseSnapshot(std::string_view bytes) {
  const size_t end = bytes.find('\n');
  if (!bytes.starts_with(kMagic) || end == std::string_view::npos) {
    return absl::DataLossError("it does not start like one");
  }
  const std::string_view body = bytes.substr(end + 1);
  const size_t prefix = sizeof(kMagic) - 1;
  if (ContentVersion(body) != bytes.substr(prefix, end - prefix)) {
    return absl::DataLossError("its content hash does not fit");
  }
  envoy::service::discovery::v3::DeltaDiscoveryResponse message;
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size()))) {
    return absl::DataLossError("it does not parse");
  }
  XdsSnapshot snapshot;
  for (const auto& resource : message.resources()) {
    const std::optional<XdsType> type = ParseTypeUrl(resource.resource().type_url());
    if (!type) return absl::DataLossError("it holds a resource of an unknown type");
    snapshot.of(*type)[resource.name()] = {resource.version(),
                                           resource.resource().SerializeAsString()};
  }
  return snapshot;
}

TableFile::TableFile(std::string path) : path_(std::move(path)), writer_([this] { Run(); }) {}

void TableFile::Close() {
  if (!writer_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  due_.notify_one();
  writer_.join();
}

XdsSnapshot TableFile::Load() const {
  const absl::StatusOr<std::string> bytes = ReadFile(path_);
  if (absl::IsNotFound(bytes.status())) return {};
  const auto report = [this](const absl::Status& status) {
    LogError("last table ignored", {{"file", path_}, {"error", std::string(status.message())}});
    return XdsSnapshot{};
  };
  if (!bytes.ok()) return report(bytes.status());
  absl::StatusOr<XdsSnapshot> snapshot = ParseSnapshot(*bytes);
  if (!snapshot.ok()) return report(snapshot.status());
  return *std::move(snapshot);
}

void TableFile::Save(const XdsSnapshot& snapshot) {
  if (last_ == snapshot || !writer_.joinable()) return;
  last_ = snapshot;
  {
    const std::lock_guard lock(mutex_);
    waiting_ = snapshot;
  }
  due_.notify_one();
}

void TableFile::Run() {
  bool failed = false;
  for (bool closing = false; !closing;) {
    std::optional<XdsSnapshot> snapshot;
    {
      std::unique_lock lock(mutex_);
      due_.wait(lock, [this] { return waiting_.has_value() || closing_; });
      snapshot = std::exchange(waiting_, std::nullopt);
      closing = closing_;
    }
    if (!snapshot) continue;
    const absl::Status status = WriteFileAtomically(path_, SerializeSnapshot(*snapshot));
    if (status.ok()) {
      failed = false;
    } else if (!std::exchange(failed, true)) {
      LogError("last table not saved", {{"file", path_}, {"error", std::string(status.message())}});
    }
  }
}

}  // namespace pando::proxy
