// Where a message's body ends, found as its bytes pass by. Chunked framing is checked as strictly
// as heads are and forwarded as it is; nothing is copied unless the payload is asked for.
// Pure; used by one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/core/h1_parser.h"

namespace pando::proxy {

// RFC 9112 7.1, with extensions (checked, otherwise ignored) and trailers.
class ChunkedDecoder {
 public:
  // Bytes of `data` that belong to the body: all of it unless done() or failed() is reached.
  // Appends what the chunks carry to `payload`, if given.
  size_t Consume(std::string_view data, std::string* payload);
  bool done() const { return state_ == State::kDone; }
  bool failed() const { return state_ == State::kFailed; }
  // Carried so far.
  uint64_t payload_bytes() const { return payload_bytes_; }

 private:
  enum class State : uint8_t {
    kSizeStart,  // at least one digit
    kSize,
    kExtensionStart,  // behind ";"
    kExtensionName,
    kExtensionNameEnd,
    kExtensionValueStart,  // behind "="
    kExtensionToken,
    kExtensionQuoted,
    kExtensionEscaped,
    kExtensionEnd,  // behind a quoted value
    kExtensionGap,  // blanks that another extension must follow
    kSizeEnd,       // the LF
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailerName,
    kTrailerValue,
    kTrailerLf,
    kEndLf,
    kDone,
    kFailed,
  };
  State Step(char c);
  State StepExtension(char c);
  bool CountOverhead();

  uint64_t remaining_ = 0;  // of the chunk
  uint64_t payload_bytes_ = 0;
  uint32_t overhead_ = 0;  // extension and trailer bytes so far
  uint8_t digits_ = 0;
  uint8_t name_size_ = 0;
  State state_ = State::kSizeStart;
  char name_[18] = {};  // a trailer's name, as far as it matters
};

class BodyFramer {
 public:
  void Start(BodyKind kind, uint64_t length);
  // As ChunkedDecoder::Consume. A body until close is never done.
  size_t Consume(std::string_view data, std::string* payload = nullptr);
  bool done() const { return done_; }
  bool failed() const { return kind_ == BodyKind::kChunked && chunked_.failed(); }
  BodyKind kind() const { return kind_; }
  // Of chunked bodies; those with a length have said it.
  uint64_t payload_bytes() const { return chunked_.payload_bytes(); }

 private:
  BodyKind kind_ = BodyKind::kNone;
  bool done_ = true;
  uint64_t remaining_ = 0;
  ChunkedDecoder chunked_;
};

}  // namespace pando::proxy
