#include "ctl/spec_sources.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "artifact/core/source_name.h"
#include "common/base/status_macros.h"
#include "ctl/packed_dir.h"

namespace pando::ctl {

namespace {

// Where the scalar at `begin` ends; npos when it is not written as one piece of one line.
size_t EndOfScalar(const std::string& yaml, size_t begin, const std::string& value) {
  const char quote = begin < yaml.size() ? yaml[begin] : '\0';
  if (quote != '"' && quote != '\'') {
    return yaml.compare(begin, value.size(), value) == 0 ? begin + value.size() : std::string::npos;
  }
  for (size_t at = begin + 1; at < yaml.size() && yaml[at] != '\n'; ++at) {
    if (quote == '"' && yaml[at] == '\\') {
      ++at;
    } else if (yaml[at] == quote) {
      if (quote == '\'' && at + 1 < yaml.size() && yaml[at + 1] == quote) {
        ++at;  // doubled: a quote in the text
      } else {
        return at + 1;
      }
    }
  }
  return std::string::npos;
}

// The node that names the directory; undefined when there is none.
YAML::Node DirNode(const YAML::Node& document) {
  if (!document.IsMap()) return YAML::Node(YAML::NodeType::Undefined);
  const YAML::Node source = document["source"];
  if (source && source.IsMap()) return source["dir"];
  return source;
}

std::string Quoted(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

}  // namespace

absl::StatusOr<std::vector<SourceSpot>> FindSources(const std::string& yaml) {
  std::vector<YAML::Node> documents;
  try {
    documents = YAML::LoadAll(yaml);
  } catch (const YAML::Exception&) {
    return std::vector<SourceSpot>();
  }
  std::vector<SourceSpot> spots;
  for (const YAML::Node& document : documents) {
    const YAML::Node dir = DirNode(document);
    if (!dir.IsDefined() || !dir.IsScalar()) continue;
    const artifact::SourceName name = artifact::ParseSourceName(dir.Scalar());
    if (!name.digest.empty() || name.dir.empty()) continue;
    SourceSpot spot;
    spot.begin = static_cast<size_t>(dir.Mark().pos);
    spot.end = EndOfScalar(yaml, spot.begin, dir.Scalar());
    spot.line = dir.Mark().line + 1;
    spot.dir = name.dir;
    if (spot.end == std::string::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat(spot.line, ": source: write the directory on one line, without tags"));
    }
    // One that several documents share by an alias is one.
    if (std::find(spots.begin(), spots.end(), spot) == spots.end()) spots.push_back(spot);
  }
  std::sort(spots.begin(), spots.end(),
            [](const SourceSpot& a, const SourceSpot& b) { return a.begin < b.begin; });
  return spots;
}

std::string WithDigests(const std::string& yaml, const std::vector<SourceSpot>& spots,
                        const std::function<std::string(const SourceSpot&)>& digest_of) {
  std::string filled;
  size_t from = 0;
  for (const SourceSpot& spot : spots) {
    absl::StrAppend(&filled, yaml.substr(from, spot.begin - from),
                    Quoted(ToText(artifact::SourceName{spot.dir, digest_of(spot)})));
    from = spot.end;
  }
  return filled + yaml.substr(from);
}

namespace {

absl::Status FillFile(Context& context, bool dry_run, const std::string& filename,
                      const std::string& file_dir, std::string& yaml) {
  const auto spots = FindSources(yaml);
  if (!spots.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(filename, ":", spots.status().message()));
  }
  std::map<std::string, std::string> digests;  // by directory: several apps may share one
  for (const SourceSpot& spot : *spots) {
    if (digests.contains(spot.dir)) continue;
    const std::string dir =
        (std::filesystem::path(file_dir) / spot.dir).lexically_normal().string();
    const auto packed = PackForUpload(context, dir);
    if (!packed.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat(filename, ":", spot.line, ": source: ", packed.status().message()));
    }
    if (!dry_run) PANDO_RETURN_IF_ERROR(Upload(context, spot.dir, *packed).status());
    digests[spot.dir] = packed->packed.digest;
  }
  yaml = WithDigests(yaml, *spots, [&](const SourceSpot& spot) { return digests.at(spot.dir); });
  return absl::OkStatus();
}

}  // namespace

absl::Status FillSources(Context& context, bool dry_run, v1::ApplyRequest& request) {
  PANDO_RETURN_IF_ERROR(
      FillFile(context, dry_run, request.filename(), request.file_dir(), *request.mutable_yaml()));
  for (v1::ApplyRequest::File& file : *request.mutable_more_files()) {
    PANDO_RETURN_IF_ERROR(
        FillFile(context, dry_run, file.filename(), file.file_dir(), *file.mutable_yaml()));
  }
  return absl::OkStatus();
}

}  // namespace pando::ctl
