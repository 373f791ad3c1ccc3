// Chunked bodies, differentially: see h1_reference.h.
#include <cstdint>
#include <string_view>

#include "tests/fuzz/h1_reference.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pando::proxy;
  boost::beast::http::request_parser<boost::beast::http::string_body> theirs;
  Unlimit(theirs);
  theirs.eager(false);
  boost::beast::error_code failed;
  Feed(theirs, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", failed);
  RequireAccepted(failed);
  CompareBodies(theirs, BodyKind::kChunked, 0, {reinterpret_cast<const char*>(data), size});
  return 0;
}
