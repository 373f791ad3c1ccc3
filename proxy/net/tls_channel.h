// One connection's TLS, between the bytes on the wire and those that are meant. Knows no socket:
// Stream feeds it what was received and sends what it has written.
//
// The buffers are the worker's, so that an idle connection holds none: what stays here is OpenSSL's
// state and, while a record is incomplete, that record.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/core/byte_queue.h"
#include "proxy/net/counters.h"
#include "proxy/net/tls_context.h"

namespace pando::proxy {

// What the connections of one worker share.
struct TlsWorker {
  // Twice the largest record: two fit in one read, and what they decrypt to in the read buffer.
  static constexpr size_t kReceiveBytes = size_t{32} * 1024;

  explicit TlsWorker(TlsCounters& to) : counters(to) {}

  std::vector<char> received = std::vector<char>(kReceiveBytes);
  std::string to_send;  // empty between calls
  TlsCounters& counters;
};

class TlsChannel {
 public:
  TlsChannel(std::shared_ptr<const TlsContext> context, TlsWorker& worker);
  ~TlsChannel();
  TlsChannel(const TlsChannel&) = delete;
  TlsChannel& operator=(const TlsChannel&) = delete;

  enum class Result {
    kBytes,
    kWait,   // for more to be fed
    kEnd,    // the peer said that it sends no more
    kError,  // nothing can be said any more, but for what is in output()
  };
  // Decrypts into `plain`. Any call may leave something to send in output().
  Result Read(std::span<char> plain, std::string_view& bytes);
  // Where to receive to, then how much came; only after kWait.
  std::span<char> receive_buffer() { return worker_.received; }
  void Feed(std::string_view received);
  // More may come without anything being fed.
  bool has_more() const { return has_more_; }

  // Encrypts both as few records. False: the connection is broken, or not established.
  bool Write(std::string_view first, std::string_view second);
  // Says that no more is sent. False: it cannot be said.
  bool WriteEnd();
  // WriteEnd will not say so: what was sent is not all there should have been.
  void WithholdEnd() { end_withheld_ = true; }

  std::string& output() { return worker_.to_send; }
  bool established() const { return established_; }

 private:
  static int BioRead(BIO* bio, char* data, int size);
  static int BioWrite(BIO* bio, const char* data, int size);
  static long BioControl(BIO* bio, int command, long number, void* pointer);
  static BIO_METHOD* Method();

  bool WriteRecords(std::string_view bytes);
  void NoteProgress();
  void HoldRest();

  TlsWorker& worker_;
  std::shared_ptr<const TlsContext> context_;  // while its callbacks may be called
  SslPtr ssl_;
  std::string_view fed_;  // in the worker's buffer; empty between calls
  ByteQueue held_;        // what could not be read at once
  bool has_more_ = false;
  bool established_ = false;
  bool failed_ = false;
  bool end_withheld_ = false;
  bool begun_ = false;  // something was fed
};

}  // namespace pando::proxy
