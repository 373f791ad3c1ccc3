#include "agent/preload.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/runtime/unique_fd.h"

namespace pando::agent {
namespace {

constexpr char kPreload[] = "LD_PRELOAD=";
constexpr char kPath[] = "PATH=";
constexpr int kMostInterpreters = 4;  // of a script: the kernel follows as many

std::string ValueOf(const std::vector<std::string>& environment, absl::string_view prefix) {
  for (const std::string& entry : environment) {
    if (absl::StartsWith(entry, prefix)) return entry.substr(prefix.size());
  }
  return "";
}

// The file that exec would find, or "".
std::string FindProgram(const std::string& name, const std::string& dir, const std::string& path) {
  namespace fs = std::filesystem;
  if (absl::StrContains(name, '/')) return fs::path(dir) / name;
  for (const absl::string_view entry : absl::StrSplit(path, ':')) {
    const std::string candidate = fs::path(dir) / std::string(entry) / name;
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return "";
}

bool HasInterpreter(const UniqueFd& file, const Elf64_Ehdr& header) {
  if (header.e_phentsize != sizeof(Elf64_Phdr)) return false;
  for (int i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment = {};
    const auto at = static_cast<off_t>(header.e_phoff + i * sizeof(segment));
    if (pread(file.get(), &segment, sizeof(segment), at) != sizeof(segment)) return false;
    if (segment.p_type == PT_INTERP) return true;
  }
  return false;
}

// The loader gives a program with more rights than its caller no libraries of the caller's choice.
bool GainsRights(const UniqueFd& file) {
  struct stat info = {};
  if (fstat(file.get(), &info) == 0 && (info.st_mode & (S_ISUID | S_ISGID)) != 0) return true;
  return fgetxattr(file.get(), "security.capability", nullptr, 0) > 0;
}

// What a script's first line names: "#!/usr/bin/env node" is node, "#!/bin/sh -e" is /bin/sh.
std::string ScriptInterpreter(absl::string_view line) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.empty()) return "";
  if (!absl::EndsWith(words[0], "/env")) return std::string(words[0]);
  for (size_t i = 1; i < words.size(); ++i) {
    if (words[i][0] != '-' && !absl::StrContains(words[i], '=')) return std::string(words[i]);
  }
  return "";
}

// False: it is known that it does not. Of a shell's command line only the shell is looked at.
absl::StatusOr<bool> Preloads(const std::string& name, const std::string& dir,
                              const std::string& path) {
  std::string program = FindProgram(name, dir, path);
  for (int i = 0; i <= kMostInterpreters && !program.empty(); ++i) {
    const UniqueFd file(open(program.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    char head[256] = {};
    const ssize_t size = file.valid() ? pread(file.get(), head, sizeof(head), 0) : 0;
    if (size < 4) return true;
    if (head[0] == '#' && head[1] == '!') {
      const absl::string_view text(head + 2, static_cast<size_t>(size) - 2);
      const std::string interpreter = ScriptInterpreter(text.substr(0, text.find('\n')));
      program = interpreter.empty() ? "" : FindProgram(interpreter, dir, path);
      continue;
    }
    if (!absl::StartsWith(absl::string_view(head, 4), ELFMAG)) return true;
    Elf64_Ehdr header = {};
    if (pread(file.get(), &header, sizeof(header), 0) != sizeof(header) ||
        header.e_ident[EI_CLASS] != ELFCLASS64) {
      return absl::FailedPreconditionError(
          absl::StrCat("not a 64-bit program: ", program, " (port.fixed needs one)"));
    }
    return HasInterpreter(file, header) && !GainsRights(file);
  }
  return true;
}

}  // namespace

std::string FixedPortLibrary(const std::string& shim_path) {
  return std::filesystem::path(shim_path).parent_path() / "libpando-fixed-port.so";
}

absl::StatusOr<bool> PreloadFixedPort(const CommandLine& command, uint16_t port,
                                      const std::string& library,
                                      std::vector<std::string>& environment) {
  if (access(library.c_str(), R_OK) != 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("no such file: ", library, " (port.fixed needs it beside pando-shim)"));
  }
  if (library.find_first_of(" :") != std::string::npos) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot be preloaded: ", library, " (its path has a blank or a colon)"));
  }
  PANDO_ASSIGN_OR_RETURN(const bool preloads,
                         Preloads(command.argv[0], command.dir, ValueOf(environment, kPath)));
  const std::string wanted = ValueOf(environment, kPreload);
  environment.erase(
      std::remove_if(environment.begin(), environment.end(),
                     [](const std::string& entry) { return absl::StartsWith(entry, kPreload); }),
      environment.end());
  environment.push_back(absl::StrCat(kPreload, library, wanted.empty() ? "" : ":", wanted));
  environment.push_back(absl::StrCat("PANDO_FIXED_PORT=", command.fixed_port, ":", port));
  return preloads;
}

}  // namespace pando::agent
