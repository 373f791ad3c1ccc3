// SHA-256 of what comes piece by piece, and of files.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

struct evp_md_ctx_st;

namespace pando::artifact {

class Sha256 {
 public:
  Sha256();
  void Update(std::string_view bytes);
  // 64 hex digits. Once.
  std::string Finish();

 private:
  std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)> context_;
};

// Reads the whole file, a piece at a time. `stop` is asked between pieces (may be null):
// kCancelled.
absl::StatusOr<std::string> Sha256OfFile(const std::string& path,
                                         const std::function<bool()>& stop = nullptr);

}  // namespace pando::artifact
