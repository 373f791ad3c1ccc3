// PROXY headers: the same reading of every longer prefix, and nothing read out of bounds.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "proxy/core/proxy_protocol.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pando::proxy;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const ProxyHeader whole = ReadProxyHeader(bytes);
  const ProxyHeader part = ReadProxyHeader(bytes.substr(0, size / 2));
  // What is known of a part holds for the whole.
  const bool agree = part.result == ProxyHeader::Result::kIncomplete ||
                     (part.result == whole.result && part.size == whole.size);
  if (!agree || whole.size > size) std::abort();
  if (whole.result == ProxyHeader::Result::kComplete && whole.source) {
    if (pando::ParseIp(pando::FormatIp(*whole.source).view()) != whole.source) std::abort();
  }
  return 0;
}
