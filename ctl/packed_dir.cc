#include "ctl/packed_dir.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <optional>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "ctl/format.h"
#include "ctl/progress.h"
#include "ctl/transfer_line.h"

namespace pando::ctl {
namespace {

constexpr Millis kRedraw{100};

absl::StatusOr<UniqueFd> NamelessFile(const std::string& dir) {
  UniqueFd file(open(dir.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.valid()) return file;
  // Not every file system can make one without a name.
  std::string path = absl::StrCat(dir, "/pando-XXXXXX");
  file.reset(mkostemp(path.data(), O_CLOEXEC));
  if (!file.valid()) {
    return absl::ErrnoToStatus(
        errno, absl::StrCat("no temporary file in ", dir, " (choose another with TMPDIR)"));
  }
  unlink(path.c_str());
  return file;
}

}  // namespace

std::string PackedDir::Path() const { return absl::StrCat("/proc/self/fd/", file.get()); }

absl::StatusOr<PackedDir> PackForUpload(Context& context, const std::string& dir) {
  PackedDir packed;
  const std::string temporary = context.terminal().Env("TMPDIR");
  PANDO_ASSIGN_OR_RETURN(packed.file, NamelessFile(temporary.empty() ? "/var/tmp" : temporary));
  Progress progress(context.terminal(), context.options().quiet);
  std::optional<Instant> shown;
  const auto show = [&](const artifact::Packed& so_far) {
    const Instant now = std::chrono::steady_clock::now();
    if (shown && now - *shown < kRedraw) return true;
    shown = now;
    // One line where it is not a terminal: more follow when the upload takes long.
    const std::string what = absl::StrCat("packing ", dir);
    progress.Show(absl::StrCat(what, ": ", so_far.entries, " files, ", FormatBytes(so_far.bytes)),
                  what, now);
    return true;
  };
  auto made = artifact::PackDirectory(dir, packed.Path(), show);
  // A directory that is not there is a wrong argument, not a wrong name of something in the
  // cluster.
  if (!made.ok()) return absl::InvalidArgumentError(made.status().message());
  packed.packed = *std::move(made);
  return packed;
}

absl::StatusOr<uint64_t> Upload(Context& context, const std::string& dir, const PackedDir& packed) {
  Progress progress(context.terminal(), context.options().quiet);
  const Instant began = std::chrono::steady_clock::now();
  std::optional<Instant> shown;
  std::optional<uint64_t> first;  // what was there when this upload began
  uint64_t sent = 0;
  const uint64_t size = packed.packed.packed_bytes;
  PANDO_RETURN_IF_ERROR(context.client().UploadArtifact(
      {packed.Path(), packed.packed.digest, size}, [&](uint64_t there) {
        const Instant now = std::chrono::steady_clock::now();
        if (!first) first = there;
        sent = there > *first ? there - *first : 0;
        if (shown && now - *shown < kRedraw && there < size) return;
        shown = now;
        const double seconds = std::chrono::duration<double>(now - began).count();
        const int columns = context.terminal().err_is_terminal ? context.terminal().columns : 0;
        progress.Show(
            TransferLine(absl::StrCat("uploading ", dir), there, size, sent, seconds, columns),
            absl::StrCat(there * 10 / size), now);
      }));
  return sent;
}

}  // namespace pando::ctl
