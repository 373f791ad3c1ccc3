#include "proxy/net/tls_channel.h"

#include <openssl/err.h>

#include <algorithm>
#include <cstring>

namespace pando::proxy {
namespace {

constexpr size_t kMaxRecordBytes = SSL3_RT_MAX_PLAIN_LENGTH;
// A buffer larger than this after a burst is given back.
constexpr size_t kMaxKeptCapacity = size_t{256} * 1024;

constexpr std::string_view kPlainHttpAnswer =
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    "Content-Length: 48\r\nConnection: close\r\n\r\n"
    "this port speaks HTTPS: the URL begins https://\n";

}  // namespace

TlsChannel::TlsChannel(std::shared_ptr<const TlsContext> context, TlsWorker& worker)
    : worker_(worker), context_(std::move(context)), ssl_(context_->NewConnection()) {
  BIO* bio = ssl_ == nullptr ? nullptr : BIO_new(Method());
  if (bio == nullptr) {
    failed_ = true;
    return;
  }
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);
}

TlsChannel::~TlsChannel() {
  if (begun_ && !established_) worker_.counters.failures.Add();
}

void TlsChannel::Feed(std::string_view received) {
  fed_ = received;
  begun_ = true;
}

BIO_METHOD* TlsChannel::Method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pando");
    BIO_meth_set_read(made, &TlsChannel::BioRead);
    BIO_meth_set_write(made, &TlsChannel::BioWrite);
    BIO_meth_set_ctrl(made, &TlsChannel::BioControl);
    return made;
  }();
  return method;
}

int TlsChannel::BioRead(BIO* bio, char* data, int size) {
  auto& self = *static_cast<TlsChannel*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  const std::string_view from = self.held_.empty() ? self.fed_ : self.held_.view();
  if (from.empty()) {
    BIO_set_retry_read(bio);
    return -1;
  }
  const size_t count = std::min(from.size(), static_cast<size_t>(size));
  std::memcpy(data, from.data(), count);
  if (self.held_.empty()) {
    self.fed_.remove_prefix(count);
  } else {
    self.held_.Consume(count);
  }
  return static_cast<int>(count);
}

int TlsChannel::BioWrite(BIO* bio, const char* data, int size) {
  auto& self = *static_cast<TlsChannel*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  self.worker_.to_send.append(data, static_cast<size_t>(size));
  return size;
}

long TlsChannel::BioControl(BIO*, int command, long, void*) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

TlsChannel::Result TlsChannel::Read(std::span<char> plain, std::string_view& bytes) {
  if (failed_) return Result::kError;
  size_t filled = 0;
  int error = SSL_ERROR_NONE;
  ERR_clear_error();
  while (filled < plain.size()) {
    size_t count = 0;
    const int result =
        SSL_read_ex(ssl_.get(), plain.data() + filled, plain.size() - filled, &count);
    if (result != 1) {
      error = SSL_get_error(ssl_.get(), result);
      break;
    }
    filled += count;
    // To ask once more for what cannot be there costs as much as a small record.
    if (fed_.empty() && held_.empty() && SSL_pending(ssl_.get()) == 0) {
      error = SSL_ERROR_WANT_READ;
      break;
    }
  }
  has_more_ = error == SSL_ERROR_NONE;
  if (!established_) NoteProgress();
  HoldRest();
  if (filled > 0) {
    // An end or an error is met again by the next call.
    if (error != SSL_ERROR_WANT_READ) has_more_ = true;
    bytes = {plain.data(), filled};
    return Result::kBytes;
  }
  switch (error) {
    case SSL_ERROR_WANT_READ:
      return Result::kWait;
    case SSL_ERROR_ZERO_RETURN:
      return Result::kEnd;
    default:
      break;
  }
  if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST) {
    worker_.to_send.assign(kPlainHttpAnswer);
  }
  ERR_clear_error();
  failed_ = true;
  return Result::kError;
}

void TlsChannel::NoteProgress() {
  if (SSL_is_init_finished(ssl_.get()) == 0) return;
  established_ = true;
  worker_.counters.handshakes.Add();
  if (SSL_session_reused(ssl_.get()) == 1) worker_.counters.resumed.Add();
  context_.reset();
}

void TlsChannel::HoldRest() {
  held_.Append(fed_);
  fed_ = {};
}

bool TlsChannel::WriteRecords(std::string_view bytes) {
  while (!bytes.empty()) {
    size_t count = 0;
    if (SSL_write_ex(ssl_.get(), bytes.data(), std::min(bytes.size(), kMaxRecordBytes), &count) !=
        1) {
      ERR_clear_error();
      failed_ = true;
      return false;
    }
    bytes.remove_prefix(count);
  }
  return true;
}

bool TlsChannel::Write(std::string_view first, std::string_view second) {
  if (failed_ || !established_) return false;
  if (worker_.to_send.capacity() > kMaxKeptCapacity) std::string().swap(worker_.to_send);
  ERR_clear_error();
  if (first.empty() || second.empty()) return WriteRecords(first.empty() ? second : first);
  // A record costs more than a copy: a head travels with the beginning of its body.
  if (first.size() >= kMaxRecordBytes) return WriteRecords(first) && WriteRecords(second);
  const size_t joined = std::min(second.size(), kMaxRecordBytes - first.size());
  char record[kMaxRecordBytes];
  std::memcpy(record, first.data(), first.size());
  std::memcpy(record + first.size(), second.data(), joined);
  return WriteRecords({record, first.size() + joined}) && WriteRecords(second.substr(joined));
}

bool TlsChannel::WriteEnd() {
  if (failed_ || !established_ || end_withheld_) return false;
  ERR_clear_error();
  // 0: said; the peer's answer is not waited for.
  const bool said = SSL_shutdown(ssl_.get()) >= 0;
  ERR_clear_error();
  return said;
}

}  // namespace pando::proxy
