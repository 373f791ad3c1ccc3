// The HTTP/1.1 core on arbitrary bytes: nothing read out of bounds, the same reading however the
// bytes are split, and whatever is accepted is rewritten into something accepted again with the
// same framing - otherwise two parsers of one chain could disagree about where a message ends.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "proxy/core/h1_body.h"
#include "proxy/core/h1_parser.h"
#include "proxy/core/h1_writer.h"

namespace {

using namespace pando::proxy;

void Require(bool condition) {
  if (!condition) std::abort();
}

HeadScanner::Result ScanSplit(std::string_view bytes, size_t split, size_t& size) {
  HeadScanner scanner;
  HeadScanner::Result result = scanner.Scan(bytes.substr(0, split));
  if (result == HeadScanner::Result::kIncomplete) result = scanner.Scan(bytes);
  size = scanner.size();
  return result;
}

void CheckBody(BodyKind kind, uint64_t length, std::string_view bytes, size_t split) {
  BodyFramer whole;
  whole.Start(kind, length);
  std::string payload;
  const size_t used = whole.Consume(bytes, &payload);
  BodyFramer parts;
  parts.Start(kind, length);
  std::string payload_of_parts;
  size_t used_of_parts = parts.Consume(bytes.substr(0, split), &payload_of_parts);
  if (used_of_parts == split) {
    used_of_parts += parts.Consume(bytes.substr(split), &payload_of_parts);
  }
  Require(used <= bytes.size() && used == used_of_parts && payload == payload_of_parts);
  Require(whole.done() == parts.done() && whole.failed() == parts.failed());
}

void CheckRequest(std::string_view head_bytes, std::string_view rest, size_t split) {
  RequestHead head;
  if (ParseRequestHead(head_bytes, head)) return;
  std::string sent;
  FastRandom random(1);
  ForwardPolicy policy;
  policy.mode = ForwardPolicy::Mode::kAppend;
  policy.rfc7239 = true;
  const RequestOrigin origin{"10.0.0.1", "http", true};
  std::string id;
  AppendRequestId(head.request_id, random, id);
  AppendRequestHead(head, {origin, policy, id}, random, sent);
  if (!head.host.empty()) {
    size_t size = 0;
    Require(ScanSplit(sent, sent.size() / 2, size) == HeadScanner::Result::kComplete);
    Require(size == sent.size());
    RequestHead again;
    const HeadError error = ParseRequestHead(sent, again);
    Require(!error || error.status == 431);  // the fields we add may be the ones too many
    if (!error) {
      Require(again.body == head.body && again.content_length == head.content_length);
      Require(again.target == head.target && again.method == head.method);
      Require(again.upgrade == head.upgrade && again.keep_alive);
    }
  }
  CheckBody(head.body, head.content_length, rest, split);
}

void CheckResponse(std::string_view head_bytes, std::string_view rest, size_t split,
                   Method method) {
  ResponseHead head;
  if (ParseResponseHead(head_bytes, method, head)) return;
  std::string sent;
  AppendResponseHead(head, {}, sent);
  ResponseHead again;
  const HeadError error = ParseResponseHead(sent, method, again);
  Require(!error || std::string_view(error.reason) == "too many header fields");
  if (!error) {
    Require(again.status == head.status && again.body == head.body &&
            again.content_length == head.content_length);
  }
  CheckBody(head.body, head.content_length, rest, split);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t split = size / 3;
  HeadScanner scanner;
  const HeadScanner::Result result = scanner.Scan(bytes);
  size_t split_size = 0;
  Require(ScanSplit(bytes, split, split_size) == result);
  CheckBody(BodyKind::kChunked, 0, bytes, split);
  if (result != HeadScanner::Result::kComplete) return 0;
  Require(split_size == scanner.size());
  const std::string_view head = bytes.substr(0, scanner.size());
  const std::string_view rest = bytes.substr(scanner.size());
  CheckRequest(head, rest, rest.size() / 2);
  CheckResponse(head, rest, rest.size() / 2, Method::kGet);
  CheckResponse(head, rest, rest.size() / 2, Method::kHead);
  return 0;
}
