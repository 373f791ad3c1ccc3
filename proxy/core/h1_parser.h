// HTTP/1.1 message heads (RFC 9112), read strictly: a head has one reading or it is an error.
//
// Nothing is copied: the views point into the bytes given, and the structs are meant to be reused
// so that a steady stream of messages allocates nothing. Pure; used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace pando::proxy {

// The fields the proxy itself acts upon.
enum class FieldId : uint8_t {
  kOther,
  kConnection,
  kContentLength,
  kExpect,
  kForwarded,
  kForwardedFor,
  kForwardedHost,
  kForwardedProto,
  kHost,
  kIdempotencyKey,
  kKeepAlive,
  kProxyConnection,
  kRequestId,
  kTe,
  kTraceparent,
  kTracestate,
  kTransferEncoding,
  kUpgrade,
};

enum class Method : uint8_t {
  kConnect,
  kDelete,
  kGet,
  kHead,
  kOptions,
  kOther,
  kPatch,
  kPost,
  kPut,
  kTrace,
};

// RFC 9110 9.2.2: sending the request twice has the effect of sending it once.
bool IsIdempotent(Method method);

struct HeaderField {
  std::string_view name;
  std::string_view value;  // without white space around it
  std::string_view line;   // the whole line with its CRLF
  FieldId id = FieldId::kOther;
  bool hop_by_hop = false;  // meant for this connection only; not to be forwarded
};

enum class BodyKind : uint8_t {
  kNone,
  kLength,      // content_length bytes, at least 1
  kChunked,     // RFC 9112 7.1
  kUntilClose,  // responses only
};

struct RequestHead {
  Method method = Method::kOther;
  std::string_view method_text;
  std::string_view target;  // as to be sent to the app: origin-form, or "*"
  std::string_view host;    // with its port, if any; empty only with HTTP/1.0
  int minor_version = 1;
  std::vector<HeaderField> fields;
  BodyKind body = BodyKind::kNone;
  uint64_t content_length = 0;
  bool keep_alive = true;
  bool upgrade = false;  // asks to switch protocols, to something other than h2c
  bool expect_continue = false;
  bool idempotency_key = false;
  std::string_view request_id;   // of X-Request-Id; empty also when there are several
  std::string_view traceparent;  // likewise
};

struct ResponseHead {
  int status = 0;
  std::string_view reason;
  int minor_version = 1;
  std::vector<HeaderField> fields;
  BodyKind body = BodyKind::kNone;
  uint64_t content_length = 0;  // of the bytes that follow: 0 in answers to HEAD
  bool keep_alive = true;
  bool upgrade = false;
  std::optional<uint32_t> keep_alive_seconds;  // Keep-Alive: timeout=
};

// Why a head is refused; `status` is what to answer a client with, 0 means it is fine.
struct HeadError {
  int status = 0;
  const char* reason = "";
  explicit operator bool() const { return status != 0; }
};

// Finds where a head ends as its bytes arrive, looking at each byte once. Lines must end in CRLF.
class HeadScanner {
 public:
  enum class Result { kIncomplete, kComplete, kBad };

  // `data` starts at the head's first byte and has grown since the last call.
  Result Scan(std::string_view data);
  // The head's bytes with the empty line that ends it, after kComplete.
  size_t size() const { return line_start_; }
  // Of the first line, with its CRLF; 0 while it has no end.
  size_t first_line_size() const { return first_line_size_; }
  void Reset() { *this = HeadScanner(); }

 private:
  size_t scanned_ = 0;
  size_t line_start_ = 0;
  size_t first_line_size_ = 0;
};

inline constexpr size_t kDefaultMaxFields = 256;

// `head` is what HeadScanner found. On error `out` is unspecified.
HeadError ParseRequestHead(std::string_view head, RequestHead& out,
                           size_t max_fields = kDefaultMaxFields);
// `method` is the request's: it decides whether a body follows.
HeadError ParseResponseHead(std::string_view head, Method method, ResponseHead& out);

// ASCII only, as HTTP names are.
bool EqualsIgnoreCase(std::string_view a, std::string_view b);

// Likewise, and "_" is "-": CGI and its heirs make one name of both. `known` is in lower case.
bool EqualsFolded(std::string_view name, std::string_view known);

// RFC 9110 5.6.2.
bool IsTokenChar(char c);

// A host with or without a port; no user, path or list.
bool IsValidHost(std::string_view host);

}  // namespace pando::proxy
