#include "proxy/core/h1_parser.h"

#include <algorithm>
#include <array>
#include <cstring>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace pando::proxy {
namespace {

constexpr std::array<bool, 256> MakeTable(std::string_view extra) {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[c] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[c] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[c] = true;
  for (char c : extra) table[static_cast<unsigned char>(c)] = true;
  return table;
}

constexpr auto kToken = MakeTable("!#$%&'*+-.^_`|~");
// A host and its port: reg-name, IPv4, [IPv6]. No user information, path or list.
constexpr auto kHostChar = MakeTable("-._~!$&'()*+;=:[]%");

bool In(const std::array<bool, 256>& table, char c) { return table[static_cast<unsigned char>(c)]; }

constexpr char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool IsControl(char c) {
  const auto u = static_cast<unsigned char>(c);
  return (u < 0x20 && u != '\t') || u == 0x7f;
}

// Control characters other than the tab, which no value may contain.
bool HasControl(std::string_view text) {
  size_t i = 0;
#ifdef __SSE2__
  const __m128i tab = _mm_set1_epi8('\t');
  const __m128i del = _mm_set1_epi8(0x7f);
  const __m128i limit = _mm_set1_epi8(0x1f);
  for (; i + 16 <= text.size(); i += 16) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + i));
    const __m128i low = _mm_cmpeq_epi8(_mm_max_epu8(v, limit), limit);
    const __m128i bad =
        _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(v, tab), low), _mm_cmpeq_epi8(v, del));
    if (_mm_movemask_epi8(bad) != 0) return true;
  }
#endif
  for (; i < text.size(); ++i) {
    if (IsControl(text[i])) return true;
  }
  return false;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

struct KnownField {
  std::string_view name;
  FieldId id;
  bool hop_by_hop;
};

// By length: of each there are few enough to look at them all.
constexpr KnownField kKnownFields[] = {
    {"te", FieldId::kTe, true},
    {"host", FieldId::kHost, false},
    {"expect", FieldId::kExpect, false},
    {"upgrade", FieldId::kUpgrade, true},
    {"forwarded", FieldId::kForwarded, false},
    {"connection", FieldId::kConnection, true},
    {"keep-alive", FieldId::kKeepAlive, true},
    {"tracestate", FieldId::kTracestate, false},
    {"traceparent", FieldId::kTraceparent, false},
    {"x-request-id", FieldId::kRequestId, false},
    {"content-length", FieldId::kContentLength, false},
    {"idempotency-key", FieldId::kIdempotencyKey, false},
    {"x-forwarded-for", FieldId::kForwardedFor, false},
    {"proxy-connection", FieldId::kProxyConnection, true},
    {"x-forwarded-host", FieldId::kForwardedHost, false},
    {"transfer-encoding", FieldId::kTransferEncoding, true},
    {"x-forwarded-proto", FieldId::kForwardedProto, false},
};
constexpr size_t kLongestKnown = 17;

// kFirstOfLength[n] is the index of the first known field of n letters or more.
constexpr auto kFirstOfLength = [] {
  std::array<uint8_t, kLongestKnown + 2> first{};
  for (size_t length = 0; length < first.size(); ++length) {
    while (first[length] < std::size(kKnownFields) &&
           kKnownFields[first[length]].name.size() < length) {
      ++first[length];
    }
  }
  return first;
}();

void Identify(HeaderField& field) {
  const size_t length = field.name.size();
  if (length > kLongestKnown) return;
  for (size_t i = kFirstOfLength[length]; i < kFirstOfLength[length + 1]; ++i) {
    const KnownField& known = kKnownFields[i];
    if (known.name[0] != Lower(field.name[0]) || !EqualsFolded(field.name, known.name)) continue;
    if (field.name.find('_') != std::string_view::npos) {
      // Content_Length and the like mean nothing here, and must not come to mean something there.
      field.hop_by_hop = true;
      return;
    }
    field.id = known.id;
    field.hop_by_hop = known.hop_by_hop;
    return;
  }
}

// The lines after the first, up to the empty one.
HeadError ParseFields(const char* p, const char* end, size_t max_fields,
                      std::vector<HeaderField>& fields) {
  fields.clear();
  while (true) {
    const char* lf = static_cast<const char*>(memchr(p, '\n', static_cast<size_t>(end - p)));
    if (lf == nullptr || lf == p || lf[-1] != '\r') return {400, "a line does not end in CRLF"};
    const char* line_end = lf - 1;
    if (line_end == p) {
      if (lf + 1 != end) return {400, "bytes after the head"};
      return {};
    }
    if (fields.size() == max_fields) return {431, "too many header fields"};
    const char* colon = p;
    while (colon < line_end && In(kToken, *colon)) ++colon;
    if (colon == p || colon == line_end || *colon != ':') {
      return {400, "a malformed header field name"};
    }
    HeaderField field;
    field.name = {p, static_cast<size_t>(colon - p)};
    field.value = Trim({colon + 1, static_cast<size_t>(line_end - colon - 1)});
    field.line = {p, static_cast<size_t>(lf + 1 - p)};
    if (HasControl(field.value)) return {400, "a control character in a header field"};
    Identify(field);
    fields.push_back(field);
    p = lf + 1;
  }
}

// Calls `visit` with each non-empty element of a comma-separated list.
template <class Visit>
void ForEachElement(std::string_view list, Visit visit) {
  while (true) {
    const size_t comma = list.find(',');
    const std::string_view element = Trim(list.substr(0, comma));
    if (!element.empty()) visit(element);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

bool IsToken(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return In(kToken, c); });
}

bool ParseDigits(std::string_view text, uint64_t& out) {
  if (text.empty() || text.size() > 18) return false;
  out = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return false;
    out = out * 10 + static_cast<uint64_t>(c - '0');
  }
  return true;
}

// What both kinds of head say about their connection and their body.
struct Framing {
  const HeaderField* host = nullptr;
  bool has_length = false;
  uint64_t length = 0;
  bool chunked = false;
  bool close = false;
  bool keep_alive = false;
  bool upgrade = false;  // "upgrade" in Connection
  const HeaderField* protocol = nullptr;
  bool expect_continue = false;
  bool idempotency_key = false;
  const HeaderField* request_id = nullptr;
  const HeaderField* traceparent = nullptr;
  bool many_request_ids = false;
  bool many_traceparents = false;
  std::optional<uint32_t> keep_alive_seconds;
};

std::string_view OnlyValue(const HeaderField* field, bool many) {
  return field == nullptr || many || field->hop_by_hop ? std::string_view() : field->value;
}

void NameHopByHop(std::string_view name, std::vector<HeaderField>& fields) {
  for (HeaderField& field : fields) {
    // A message must not lose its framing or its host because its sender says so.
    if (field.id == FieldId::kHost || field.id == FieldId::kContentLength) continue;
    if (EqualsIgnoreCase(field.name, name)) field.hop_by_hop = true;
  }
}

std::optional<uint32_t> KeepAliveSeconds(std::string_view value) {
  std::optional<uint32_t> seconds;
  ForEachElement(value, [&](std::string_view element) {
    constexpr std::string_view kTimeout = "timeout=";
    uint64_t number = 0;
    if (element.size() > kTimeout.size() &&
        EqualsIgnoreCase(element.substr(0, kTimeout.size()), kTimeout) &&
        ParseDigits(element.substr(kTimeout.size()), number) && number < 1'000'000) {
      seconds = static_cast<uint32_t>(number);
    }
  });
  return seconds;
}

HeadError ReadFraming(std::vector<HeaderField>& fields, Framing& out) {
  bool has_codings = false;
  bool bad_connection = false;
  for (HeaderField& field : fields) {
    switch (field.id) {
      case FieldId::kHost:
        if (out.host != nullptr) return {400, "more than one Host"};
        out.host = &field;
        break;
      case FieldId::kContentLength:
        // Also when both say the same: nobody honest sends it twice.
        if (out.has_length) return {400, "more than one Content-Length"};
        if (!ParseDigits(field.value, out.length)) return {400, "a malformed Content-Length"};
        out.has_length = true;
        break;
      case FieldId::kTransferEncoding:
        if (has_codings || !EqualsIgnoreCase(field.value, "chunked")) {
          return {400, "a Transfer-Encoding other than chunked"};
        }
        has_codings = out.chunked = true;
        break;
      case FieldId::kConnection:
        ForEachElement(field.value, [&](std::string_view element) {
          if (!IsToken(element)) {
            bad_connection = true;
          } else if (EqualsIgnoreCase(element, "close")) {
            out.close = true;
          } else if (EqualsIgnoreCase(element, "keep-alive")) {
            out.keep_alive = true;
          } else if (EqualsIgnoreCase(element, "upgrade")) {
            out.upgrade = true;
          } else {
            NameHopByHop(element, fields);
          }
        });
        break;
      case FieldId::kUpgrade:
        if (out.protocol != nullptr) return {400, "more than one Upgrade"};
        out.protocol = &field;
        break;
      case FieldId::kExpect:
        out.expect_continue = EqualsIgnoreCase(field.value, "100-continue");
        break;
      case FieldId::kIdempotencyKey:
        out.idempotency_key = true;
        break;
      case FieldId::kKeepAlive:
        out.keep_alive_seconds = KeepAliveSeconds(field.value);
        break;
      case FieldId::kRequestId:
        out.many_request_ids = out.request_id != nullptr;
        out.request_id = &field;
        break;
      case FieldId::kTraceparent:
        out.many_traceparents = out.traceparent != nullptr;
        out.traceparent = &field;
        break;
      case FieldId::kProxyConnection:
        // Says nothing here, but others read it as a Connection.
        ForEachElement(field.value, [&](std::string_view element) {
          bad_connection = bad_connection || !IsToken(element);
        });
        break;
      case FieldId::kOther:
      case FieldId::kForwarded:
      case FieldId::kForwardedFor:
      case FieldId::kForwardedHost:
      case FieldId::kForwardedProto:
      case FieldId::kTe:
      case FieldId::kTracestate:
        break;
    }
  }
  if (out.has_length && out.chunked) return {400, "both Content-Length and Transfer-Encoding"};
  if (bad_connection) return {400, "a malformed Connection"};
  return {};
}

// Of the value of Upgrade. h2c would let a client speak past every rule here: it is never passed
// on, nor is a list with it.
bool NamesTunnel(std::string_view protocols) {
  bool any = false;
  bool h2c = false;
  ForEachElement(protocols, [&](std::string_view element) {
    any = true;
    h2c = h2c || EqualsIgnoreCase(element.substr(0, 3), "h2c");
  });
  return any && !h2c;
}

Method MethodOf(std::string_view text) {
  switch (text.size()) {
    case 3:
      if (text == "GET") return Method::kGet;
      if (text == "PUT") return Method::kPut;
      break;
    case 4:
      if (text == "POST") return Method::kPost;
      if (text == "HEAD") return Method::kHead;
      break;
    case 5:
      if (text == "PATCH") return Method::kPatch;
      if (text == "TRACE") return Method::kTrace;
      break;
    case 6:
      if (text == "DELETE") return Method::kDelete;
      break;
    case 7:
      if (text == "OPTIONS") return Method::kOptions;
      if (text == "CONNECT") return Method::kConnect;
      break;
    default:
      break;
  }
  return Method::kOther;
}

// Splits "http://host/path" and brings it to the form an app expects. `authority` is empty for
// the other forms.
HeadError ReadTarget(std::string_view target, Method method, std::string_view& authority,
                     std::string_view& path) {
  authority = {};
  path = target;
  if (target.empty()) return {400, "no request target"};
  for (char c : target) {
    const auto u = static_cast<unsigned char>(c);
    if (u <= 0x20 || u == 0x7f || u == '#') return {400, "a bad character in the request target"};
  }
  if (target.front() == '/') return {};
  if (target == "*") {
    if (method == Method::kOptions) return {};
    return {400, "a bad request target"};
  }
  for (std::string_view scheme : {std::string_view("http://"), std::string_view("https://")}) {
    if (target.size() <= scheme.size() ||
        !EqualsIgnoreCase(target.substr(0, scheme.size()), scheme)) {
      continue;
    }
    target.remove_prefix(scheme.size());
    const size_t slash = target.find_first_of("/?");
    authority = target.substr(0, slash);
    // "http://host?query" has no origin-form without a new copy: too rare to support.
    if (slash != std::string_view::npos && target[slash] == '?') break;
    path = slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
    return {};
  }
  return {400, "a bad request target"};
}

std::optional<int> MinorVersion(std::string_view version) {
  if (version == "HTTP/1.1") return 1;
  if (version == "HTTP/1.0") return 0;
  return std::nullopt;
}

}  // namespace

bool IsTokenChar(char c) { return In(kToken, c); }

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (Lower(a[i]) != Lower(b[i])) return false;
  }
  return true;
}

bool EqualsFolded(std::string_view name, std::string_view known) {
  if (name.size() != known.size()) return false;
  for (size_t i = 0; i < known.size(); ++i) {
    if ((name[i] == '_' ? '-' : Lower(name[i])) != known[i]) return false;
  }
  return true;
}

bool IsValidHost(std::string_view host) {
  if (host.empty() || host.front() == ':') return false;
  for (char c : host) {
    if (!In(kHostChar, c)) return false;
  }
  const size_t bracket = host.find_first_of("[]");
  if (bracket == std::string_view::npos) {
    const size_t colon = host.find(':');
    if (colon == std::string_view::npos) return true;
    host.remove_prefix(colon + 1);
  } else {
    const size_t close = host.find(']');
    if (bracket != 0 || close == std::string_view::npos || close < 3) return false;
    host.remove_prefix(close + 1);
    if (host.empty()) return true;
    if (host.front() != ':') return false;
    host.remove_prefix(1);
  }
  if (host.size() > 5) return false;
  int port = 0;
  for (char c : host) {
    if (c < '0' || c > '9') return false;
    port = port * 10 + (c - '0');
  }
  return port <= 65'535;
}

bool IsIdempotent(Method method) {
  switch (method) {
    case Method::kDelete:
    case Method::kGet:
    case Method::kHead:
    case Method::kOptions:
    case Method::kPut:
    case Method::kTrace:
      return true;
    case Method::kConnect:
    case Method::kOther:
    case Method::kPatch:
    case Method::kPost:
      return false;
  }
  return false;
}

HeadScanner::Result HeadScanner::Scan(std::string_view data) {
  // Neither a method nor a version starts otherwise: a TLS greeting, for one, has no lines at all.
  if (!data.empty() && !IsTokenChar(data[0])) return Result::kBad;
  while (scanned_ < data.size()) {
    const void* found = memchr(data.data() + scanned_, '\n', data.size() - scanned_);
    if (found == nullptr) break;
    const auto lf = static_cast<size_t>(static_cast<const char*>(found) - data.data());
    if (lf == 0 || data[lf - 1] != '\r') return Result::kBad;
    const bool empty = lf == line_start_ + 1;
    line_start_ = scanned_ = lf + 1;
    if (first_line_size_ == 0) first_line_size_ = lf + 1;
    if (empty) return Result::kComplete;
  }
  scanned_ = data.size();
  return Result::kIncomplete;
}

HeadError ParseRequestHead(std::string_view head, RequestHead& out, size_t max_fields) {
  const size_t lf = head.find('\n');
  if (lf == std::string_view::npos || lf == 0 || head[lf - 1] != '\r') {
    return {400, "a malformed request line"};
  }
  const std::string_view line = head.substr(0, lf - 1);
  const size_t first = line.find(' ');
  const size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return {400, "a malformed request line"};
  out.method_text = line.substr(0, first);
  if (out.method_text.empty()) return {400, "a malformed request line"};
  for (char c : out.method_text) {
    if (!IsTokenChar(c)) return {400, "a malformed method"};
  }
  out.method = MethodOf(out.method_text);

  const std::string_view version = line.substr(last + 1);
  const std::optional<int> minor = MinorVersion(version);
  if (!minor.has_value()) {
    const bool other_http = version.size() == 8 && version.substr(0, 5) == "HTTP/" &&
                            version[5] >= '0' && version[5] <= '9' && version[6] == '.' &&
                            version[7] >= '0' && version[7] <= '9';
    if (other_http) return {505, "only HTTP/1.0 and HTTP/1.1 are spoken here"};
    return {400, "a malformed request line"};
  }
  out.minor_version = *minor;

  // The target of CONNECT has a form of its own; whatever it is, there is no tunnel to be had.
  if (out.method == Method::kConnect) return {501, "CONNECT is not supported"};
  std::string_view authority;
  const std::string_view target = line.substr(first + 1, last - first - 1);
  if (HeadError error = ReadTarget(target, out.method, authority, out.target)) return error;

  if (HeadError error =
          ParseFields(head.data() + lf + 1, head.data() + head.size(), max_fields, out.fields)) {
    return error;
  }
  Framing framing;
  if (HeadError error = ReadFraming(out.fields, framing)) return error;
  if (framing.chunked && out.minor_version == 0) {
    return {400, "Transfer-Encoding in HTTP/1.0"};
  }

  out.host = {};
  if (framing.host != nullptr) {
    out.host = framing.host->value;
    if (!IsValidHost(out.host)) return {400, "a malformed Host"};
  } else if (out.minor_version == 1) {
    return {400, "no Host"};
  }
  if (!authority.empty() || out.target.data() != target.data()) {
    if (!IsValidHost(authority)) return {400, "a malformed request target"};
    if (framing.host != nullptr && !EqualsIgnoreCase(authority, out.host)) {
      return {400, "Host and the request target disagree"};
    }
    out.host = authority;
  }

  out.content_length = framing.length;
  out.body = framing.chunked       ? BodyKind::kChunked
             : framing.length != 0 ? BodyKind::kLength
                                   : BodyKind::kNone;
  out.keep_alive = !framing.close && (out.minor_version == 1 || framing.keep_alive);
  out.upgrade = framing.upgrade && out.minor_version == 1 && framing.protocol != nullptr &&
                NamesTunnel(framing.protocol->value);
  out.expect_continue = framing.expect_continue && out.minor_version == 1;
  out.idempotency_key = framing.idempotency_key;
  out.request_id = OnlyValue(framing.request_id, framing.many_request_ids);
  out.traceparent = OnlyValue(framing.traceparent, framing.many_traceparents);
  return {};
}

HeadError ParseResponseHead(std::string_view head, Method method, ResponseHead& out) {
  constexpr HeadError kBadLine{502, "a malformed status line"};
  const size_t lf = head.find('\n');
  if (lf == std::string_view::npos || lf < 13 || head[lf - 1] != '\r') return kBadLine;
  const std::string_view line = head.substr(0, lf - 1);
  const std::optional<int> minor = MinorVersion(line.substr(0, 8));
  if (!minor.has_value() || line[8] != ' ') return kBadLine;
  out.minor_version = *minor;
  out.status = 0;
  for (char c : line.substr(9, 3)) {
    if (c < '0' || c > '9') return kBadLine;
    out.status = out.status * 10 + (c - '0');
  }
  if (out.status < 100 || out.status > 599) return kBadLine;
  // The space is there even when there is no reason.
  if (line.size() < 13 || line[12] != ' ') return kBadLine;
  out.reason = line.substr(13);
  if (HasControl(out.reason)) return kBadLine;

  if (HeadError error = ParseFields(head.data() + lf + 1, head.data() + head.size(),
                                    kDefaultMaxFields, out.fields)) {
    return {502, error.reason};
  }
  Framing framing;
  if (HeadError error = ReadFraming(out.fields, framing)) return {502, error.reason};
  if (framing.chunked && out.minor_version == 0) {
    return {502, "Transfer-Encoding in HTTP/1.0"};
  }
  out.content_length = 0;
  out.keep_alive = !framing.close && (out.minor_version == 1 || framing.keep_alive);
  out.upgrade = framing.upgrade && framing.protocol != nullptr;
  out.keep_alive_seconds = framing.keep_alive_seconds;

  const bool bodiless =
      method == Method::kHead || out.status < 200 || out.status == 204 || out.status == 304;
  if (bodiless || (framing.has_length && framing.length == 0)) {
    out.body = BodyKind::kNone;
  } else if (framing.chunked) {
    out.body = BodyKind::kChunked;
  } else if (framing.has_length) {
    out.body = BodyKind::kLength;
    out.content_length = framing.length;
  } else {
    out.body = BodyKind::kUntilClose;
    out.keep_alive = false;
  }
  return {};
}

}  // namespace pando::proxy
