#include "proxy/core/h1_writer.h"

#include <charconv>
#include <initializer_list>

namespace pando::proxy {
namespace {

void Append(std::string& out, std::initializer_list<std::string_view> parts) {
  for (std::string_view part : parts) out.append(part);
}

// Copies lines that are next to each other in the original with one append.
class LineCopier {
 public:
  explicit LineCopier(std::string& out) : out_(out) {}
  void Add(std::string_view line) {
    if (!run_.empty() && run_.data() + run_.size() == line.data()) {
      run_ = {run_.data(), run_.size() + line.size()};
      return;
    }
    Flush();
    run_ = line;
  }
  void Flush() {
    out_.append(run_);
    run_ = {};
  }

 private:
  std::string& out_;
  std::string_view run_;
};

std::string_view UpgradeProtocol(const std::vector<HeaderField>& fields) {
  for (const HeaderField& field : fields) {
    if (field.id == FieldId::kUpgrade) return field.value;
  }
  return {};
}

std::string_view ReasonOf(int status) {
  switch (status) {
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 408:
      return "Request Timeout";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 431:
      return "Request Header Fields Too Large";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Error";
  }
}

std::string_view Digits(size_t number, char (&buffer)[24]) {
  const auto end = std::to_chars(buffer, buffer + sizeof(buffer), number).ptr;
  return {buffer, static_cast<size_t>(end - buffer)};
}

}  // namespace

void AppendRequestHead(const RequestHead& head, std::string_view client_address,
                       std::string_view scheme, std::string& out) {
  Append(out, {head.method_text, " ", head.target, " HTTP/1.1\r\n"});
  LineCopier lines(out);
  bool has_host = false;
  bool forwarded = false;
  for (const HeaderField& field : head.fields) {
    if (field.hop_by_hop) continue;
    switch (field.id) {
      case FieldId::kHost:
        has_host = true;
        break;
      case FieldId::kForwardedFor:
        forwarded = true;
        continue;
      case FieldId::kForwardedHost:
      case FieldId::kForwardedProto:
        continue;
      case FieldId::kExpect:
        if (head.minor_version == 0) continue;  // HTTP/1.0 knows no 100
        break;
      default:
        break;
    }
    lines.Add(field.line);
  }
  lines.Flush();
  if (!has_host) Append(out, {"Host: ", head.host, "\r\n"});
  if (head.body == BodyKind::kChunked) out.append("Transfer-Encoding: chunked\r\n");
  if (head.upgrade) {
    Append(out, {"Connection: Upgrade\r\nUpgrade: ", UpgradeProtocol(head.fields), "\r\n"});
  }
  out.append("X-Forwarded-For: ");
  if (forwarded) {
    for (const HeaderField& field : head.fields) {
      if (field.id == FieldId::kForwardedFor && !field.hop_by_hop && !field.value.empty()) {
        Append(out, {field.value, ", "});
      }
    }
  }
  Append(out, {client_address, "\r\nX-Forwarded-Proto: ", scheme});
  if (!head.host.empty()) Append(out, {"\r\nX-Forwarded-Host: ", head.host});
  out.append("\r\n\r\n");
}

void AppendResponseHead(const ResponseHead& head, const ResponseShape& shape, std::string& out) {
  char digits[24];
  Append(out,
         {"HTTP/1.1 ", Digits(static_cast<size_t>(head.status), digits), " ", head.reason, "\r\n"});
  const bool interim = head.status < 200;
  // RFC 9110 8.6: neither may have a length, and some clients would wait for the bytes.
  const bool no_length = interim || head.status == 204;
  LineCopier lines(out);
  for (const HeaderField& field : head.fields) {
    if (field.hop_by_hop || (no_length && field.id == FieldId::kContentLength)) continue;
    lines.Add(field.line);
  }
  lines.Flush();
  if (head.body == BodyKind::kChunked && !shape.dechunk) {
    out.append("Transfer-Encoding: chunked\r\n");
  }
  if (head.status == 101) {
    Append(out, {"Connection: Upgrade\r\nUpgrade: ", UpgradeProtocol(head.fields), "\r\n"});
  } else if (!interim) {
    if (shape.close) {
      out.append("Connection: close\r\n");
    } else if (shape.client_minor_version == 0) {
      out.append("Connection: keep-alive\r\n");
    }
  }
  out.append("\r\n");
}

void AppendOwnResponse(const OwnResponse& response, std::string& out) {
  char digits[24];
  Append(out, {"HTTP/1.1 ", Digits(static_cast<size_t>(response.status), digits), " ",
               ReasonOf(response.status), "\r\nContent-Type: text/plain; charset=utf-8\r\n"});
  Append(out, {"Content-Length: ", Digits(response.text.size() + 1, digits), "\r\n"});
  if (response.status == 503) out.append("Retry-After: 1\r\n");
  if (!response.location.empty()) Append(out, {"Location: ", response.location, "\r\n"});
  if (response.close) out.append("Connection: close\r\n");
  out.append("\r\n");
  if (!response.head_only) Append(out, {response.text, "\n"});
}

}  // namespace pando::proxy
