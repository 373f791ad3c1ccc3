// Requests, differentially: see h1_reference.h.
#include <cstdint>
#include <string_view>

#include "tests/fuzz/h1_reference.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pando::proxy;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  HeadScanner scanner;
  if (scanner.Scan(bytes) != HeadScanner::Result::kComplete) return 0;
  RequestHead ours;
  if (ParseRequestHead(bytes.substr(0, scanner.size()), ours)) return 0;

  boost::beast::http::request_parser<boost::beast::http::string_body> theirs;
  Unlimit(theirs);
  theirs.eager(false);
  boost::beast::error_code failed;
  Feed(theirs, bytes.substr(0, scanner.size()), failed);
  RequireAccepted(failed);
  Require(theirs.is_header_done(), "the head is whole");
  const auto& head = theirs.get();
  Require(View(head.method_string()) == ours.method_text, "the method");
  // Ours is without the scheme and the host of an absolute-form.
  Require(View(head.target()).ends_with(ours.target) || ours.target == "/", "the target");
  Require(head.version() == 10u + static_cast<unsigned>(ours.minor_version), "the version");
  CompareFields(theirs, ours.fields);
  Require(theirs.chunked() == (ours.body == BodyKind::kChunked), "chunked");
  Require(theirs.content_length().value_or(0) == ours.content_length, "the length");
  Require(theirs.keep_alive() == ours.keep_alive, "keep-alive");
  CompareBodies(theirs, ours.body, ours.content_length, bytes.substr(scanner.size()));
  return 0;
}
