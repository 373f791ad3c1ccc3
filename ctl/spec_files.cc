#include "ctl/spec_files.h"

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace pando::ctl {

namespace {

namespace fs = std::filesystem;

absl::StatusOr<v1::ApplyRequest::File> ReadFile(const Terminal& terminal, const std::string& name,
                                                const fs::path& here) {
  v1::ApplyRequest::File file;
  std::istream* in = &terminal.in;
  std::ifstream stream;
  if (name == "-") {
    file.set_filename("stdin");
    file.set_file_dir(here.string());
  } else {
    file.set_filename(name);
    file.set_file_dir(fs::absolute(name).parent_path().lexically_normal().string());
    std::error_code error;
    if (fs::is_directory(name, error)) {
      return absl::InvalidArgumentError(absl::StrCat(name, ": is a directory"));
    }
    errno = 0;
    stream.open(name, std::ios::binary);
    if (!stream) {
      return absl::InvalidArgumentError(
          absl::StrCat(name, ": ", std::generic_category().message(errno)));
    }
    in = &stream;
  }
  file.set_yaml(std::string(std::istreambuf_iterator<char>(*in), {}));
  return file;
}

}  // namespace

absl::StatusOr<v1::ApplyRequest> ReadSpecFiles(const Terminal& terminal,
                                               const std::vector<std::string>& files) {
  std::error_code error;
  const fs::path here = fs::current_path(error);
  if (error) return absl::NotFoundError(absl::StrCat("current directory: ", error.message()));
  v1::ApplyRequest request;
  request.set_base_dir(here.string());
  for (const std::string& name : files) {
    PANDO_ASSIGN_OR_RETURN(v1::ApplyRequest::File file, ReadFile(terminal, name, here));
    if (&name != &files.front()) {
      *request.add_more_files() = std::move(file);
      continue;
    }
    request.set_yaml(file.yaml());
    request.set_filename(file.filename());
    request.set_file_dir(file.file_dir());
  }
  return request;
}

}  // namespace pando::ctl
