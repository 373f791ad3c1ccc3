// Responses, differentially: see h1_reference.h.
#include <cstdint>
#include <string_view>

#include "tests/fuzz/h1_reference.h"

namespace {

using namespace pando::proxy;

void Compare(std::string_view bytes, size_t head_size, Method method) {
  ResponseHead ours;
  if (ParseResponseHead(bytes.substr(0, head_size), method, ours)) return;
  boost::beast::http::response_parser<boost::beast::http::string_body> theirs;
  Unlimit(theirs);
  theirs.eager(false);
  theirs.skip(method == Method::kHead);
  boost::beast::error_code failed;
  Feed(theirs, bytes.substr(0, head_size), failed);
  RequireAccepted(failed);
  Require(theirs.is_header_done(), "the head is whole");
  const auto& head = theirs.get();
  Require(head.result_int() == static_cast<unsigned>(ours.status), "the status");
  // Beast has a reason of its own where there is none.
  Require(ours.reason.empty() || View(head.reason()) == ours.reason, "the reason");
  Require(head.version() == 10u + static_cast<unsigned>(ours.minor_version), "the version");
  CompareFields(theirs, ours.fields);
  CompareBodies(theirs, ours.body, ours.content_length, bytes.substr(head_size));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  HeadScanner scanner;
  if (scanner.Scan(bytes) != HeadScanner::Result::kComplete) return 0;
  Compare(bytes, scanner.size(), Method::kGet);
  Compare(bytes, scanner.size(), Method::kHead);
  return 0;
}
