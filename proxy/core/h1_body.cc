#include "proxy/core/h1_body.h"

#include <algorithm>

namespace pando::proxy {
namespace {

// More than any honest sender needs for extensions and trailers together.
constexpr uint32_t kMaxOverheadBytes = 16 * 1024;

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsControl(char c) {
  const auto u = static_cast<unsigned char>(c);
  return (u < 0x20 && u != '\t') || u == 0x7f;
}

// RFC 9110 6.5.1. A receiver that merges trailers into the head must not find another framing
// there, nor another sender, nor what was meant for one hop.
constexpr std::string_view kForbiddenTrailers[] = {
    "authorization",    "connection",
    "content-encoding", "content-length",
    "content-range",    "content-type",
    "cookie",           "expect",
    "forwarded",        "host",
    "keep-alive",       "proxy-connection",
    "set-cookie",       "te",
    "trailer",          "transfer-encoding",
    "upgrade",          "x-forwarded-for",
    "x-forwarded-host", "x-forwarded-proto",
};

bool ForbiddenTrailer(std::string_view name) {
  return std::any_of(std::begin(kForbiddenTrailers), std::end(kForbiddenTrailers),
                     [&](std::string_view known) { return EqualsFolded(name, known); });
}

}  // namespace

bool ChunkedDecoder::CountOverhead() { return ++overhead_ <= kMaxOverheadBytes; }

ChunkedDecoder::State ChunkedDecoder::Step(char c) {
  switch (state_) {
    case State::kSizeStart:
    case State::kSize: {
      const int digit = HexDigit(c);
      if (digit >= 0) {
        // 15 digits: far beyond any real chunk and never near overflow.
        if (++digits_ > 15) return State::kFailed;
        remaining_ = remaining_ * 16 + static_cast<uint64_t>(digit);
        return State::kSize;
      }
      if (state_ == State::kSizeStart) return State::kFailed;
      if (c == '\r') return State::kSizeEnd;
      return c == ';' ? State::kExtensionStart : State::kFailed;
    }
    case State::kExtensionStart:
    case State::kExtensionName:
    case State::kExtensionNameEnd:
    case State::kExtensionValueStart:
    case State::kExtensionToken:
    case State::kExtensionQuoted:
    case State::kExtensionEscaped:
    case State::kExtensionEnd:
    case State::kExtensionGap:
      return CountOverhead() ? StepExtension(c) : State::kFailed;
    case State::kSizeEnd:
      if (c != '\n') return State::kFailed;
      digits_ = 0;
      return remaining_ == 0 ? State::kTrailerStart : State::kData;
    case State::kData:
      return State::kFailed;  // skipped over by Consume
    case State::kDataCr:
      return c == '\r' ? State::kDataLf : State::kFailed;
    case State::kDataLf:
      return c == '\n' ? State::kSizeStart : State::kFailed;
    case State::kTrailerStart:
      if (c == '\r') return State::kEndLf;
      name_size_ = 0;
      [[fallthrough]];
    case State::kTrailerName:
      if (!CountOverhead()) return State::kFailed;
      if (c == ':') {
        const bool allowed = name_size_ > 0 && !ForbiddenTrailer({name_, name_size_});
        return allowed ? State::kTrailerValue : State::kFailed;
      }
      if (!IsTokenChar(c)) return State::kFailed;
      if (name_size_ < sizeof(name_)) name_[name_size_++] = c;
      return State::kTrailerName;
    case State::kTrailerValue:
      if (c == '\r') return State::kTrailerLf;
      return !IsControl(c) && CountOverhead() ? State::kTrailerValue : State::kFailed;
    case State::kTrailerLf:
      return c == '\n' ? State::kTrailerStart : State::kFailed;
    case State::kEndLf:
      return c == '\n' ? State::kDone : State::kFailed;
    case State::kDone:
    case State::kFailed:
      return state_;
  }
  return State::kFailed;
}

// RFC 9112 7.1.1: *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] )
ChunkedDecoder::State ChunkedDecoder::StepExtension(char c) {
  const bool blank = c == ' ' || c == '\t';
  switch (state_) {
    case State::kExtensionStart:
      if (blank) return state_;
      return IsTokenChar(c) ? State::kExtensionName : State::kFailed;
    case State::kExtensionName:
      if (IsTokenChar(c)) return state_;
      if (c == '\r') return State::kSizeEnd;
      [[fallthrough]];
    case State::kExtensionNameEnd:
      if (blank) return State::kExtensionNameEnd;
      if (c == '=') return State::kExtensionValueStart;
      break;
    case State::kExtensionValueStart:
      if (blank) return state_;
      if (c == '"') return State::kExtensionQuoted;
      return IsTokenChar(c) ? State::kExtensionToken : State::kFailed;
    case State::kExtensionToken:
      if (IsTokenChar(c)) return state_;
      [[fallthrough]];
    case State::kExtensionEnd:
      if (c == '\r') return State::kSizeEnd;
      [[fallthrough]];
    case State::kExtensionGap:
      if (blank) return State::kExtensionGap;
      break;
    case State::kExtensionQuoted:
      if (c == '"') return State::kExtensionEnd;
      if (c == '\\') return State::kExtensionEscaped;
      return IsControl(c) ? State::kFailed : state_;
    case State::kExtensionEscaped:
      return IsControl(c) ? State::kFailed : State::kExtensionQuoted;
    default:
      return State::kFailed;
  }
  return c == ';' ? State::kExtensionStart : State::kFailed;
}

size_t ChunkedDecoder::Consume(std::string_view data, std::string* payload) {
  size_t used = 0;
  while (used < data.size() && !done() && !failed()) {
    if (state_ == State::kData) {
      const auto take = static_cast<size_t>(std::min<uint64_t>(remaining_, data.size() - used));
      if (payload != nullptr) payload->append(data.substr(used, take));
      used += take;
      remaining_ -= take;
      payload_bytes_ += take;
      if (remaining_ == 0) state_ = State::kDataCr;
      continue;
    }
    state_ = Step(data[used++]);
  }
  return used;
}

void BodyFramer::Start(BodyKind kind, uint64_t length) {
  kind_ = kind;
  remaining_ = length;
  chunked_ = ChunkedDecoder();
  done_ = kind == BodyKind::kNone || (kind == BodyKind::kLength && length == 0);
}

size_t BodyFramer::Consume(std::string_view data, std::string* payload) {
  if (done_) return 0;
  size_t used = data.size();
  switch (kind_) {
    case BodyKind::kNone:
      return 0;
    case BodyKind::kChunked:
      used = chunked_.Consume(data, payload);
      done_ = chunked_.done();
      return used;
    case BodyKind::kLength:
      used = static_cast<size_t>(std::min<uint64_t>(remaining_, data.size()));
      remaining_ -= used;
      done_ = remaining_ == 0;
      break;
    case BodyKind::kUntilClose:
      break;
  }
  if (payload != nullptr) payload->append(data.substr(0, used));
  return used;
}

}  // namespace pando::proxy
