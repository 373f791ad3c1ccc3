// What the access log is told of an exchange. The rest is in forwarder.cc and attempt.cc.
#include "proxy/net/access_log.h"
#include "proxy/net/forwarder.h"
#include "proxy/net/h1_session.h"
#include "proxy/net/worker.h"

namespace pando::proxy {
namespace {

// A field of a head as it is sent upstream; empty when it has none.
std::string_view FieldOf(std::string_view head, std::string_view name) {
  size_t line = head.find("\r\n");
  while (line != std::string_view::npos) {
    const size_t begin = line + 2;
    const size_t end = head.find("\r\n", begin);
    if (end == std::string_view::npos || end == begin) break;
    const std::string_view text = head.substr(begin, end - begin);
    if (text.size() > name.size() && text[name.size()] == ':' &&
        EqualsIgnoreCase(text.substr(0, name.size()), name)) {
      const size_t value = text.find_first_not_of(" \t", name.size() + 1);
      return value == std::string_view::npos ? std::string_view() : text.substr(value);
    }
    line = end;
  }
  return {};
}

}  // namespace

void Exchange::LogAccess() {
  AccessEntry entry;
  entry.ended = worker_.poller().now();
  AccessRecord& record = entry.record;
  record.client = session_->client_address();
  const std::string_view head = head_;
  const size_t method_end = head.find(' ');
  if (method_end != std::string_view::npos) {
    record.method = head.substr(0, method_end);
    const size_t target = method_end + 1;
    record.target = head.substr(target, head.find(' ', target) - target);
  }
  record.minor_version = client_minor_version_;
  record.host = FieldOf(head, "Host");
  record.secure = session_->stream().secure();
  record.status = status_;
  record.bytes_received = request_body_bytes_;
  record.bytes_sent = response_body_bytes_;
  if (counters_ != nullptr) record.app = cluster_name_;
  record.instance = served_by_ != nullptr ? std::string_view(served_by_->name) : failed_instance_;
  record.attempts = static_cast<uint32_t>(attempts_);
  record.connect = connect_time_;
  record.first_byte = first_byte_time_;
  record.total = entry.ended - started_;
  record.request_id = FieldOf(head, "X-Request-Id");
  record.user_agent = FieldOf(head, "User-Agent");
  record.referer = FieldOf(head, "Referer");
  worker_.access_log()->Put(worker_.index(), entry);
}

}  // namespace pando::proxy
