// Sockets as the data plane uses them: non-blocking, edge-triggered, never raising SIGPIPE.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"
#include "common/runtime/unique_fd.h"
#include "proxy/core/byte_queue.h"

namespace pando::proxy {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// `address` is a numeric IPv4 or IPv6 address.
absl::StatusOr<SocketAddress> MakeSocketAddress(const std::string& address, uint16_t port);

// A connected socket, what is known of its readiness, and what waits to be sent.
class Stream {
 public:
  explicit Stream(UniqueFd fd) : fd_(std::move(fd)) {}

  int fd() const { return fd_.get(); }
  bool open() const { return fd_.valid(); }

  void NoteEvents(uint32_t epoll_events);
  bool readable() const { return readable_; }
  bool peer_closed() const { return peer_closed_; }  // its end of the stream has been announced
  bool failed() const { return failed_; }

  enum class Result { kBytes, kWait, kEnd, kError };
  // Reads into `buffer`; `bytes` is the part filled.
  Result Receive(std::span<char> buffer, std::string_view& bytes);
  // Whether something has arrived on a stream on which nothing should have; costs a system call.
  bool HasUnexpectedInput();

  // Sends what the socket takes and keeps the rest. False: the stream is broken.
  bool Send(std::string_view first, std::string_view second = {});
  bool Flush();
  bool backed_up() const { return !unsent_.empty(); }
  uint64_t sent_bytes() const { return sent_bytes_; }
  uint64_t received_bytes() const { return received_bytes_; }

  void ShutdownWrite();
  void Close() { fd_.reset(); }
  void CloseWithReset();  // so that the peer cannot mistake the end for a clean one

 private:
  UniqueFd fd_;
  bool readable_ = true;  // until a read says otherwise
  bool writable_ = true;
  bool peer_closed_ = false;
  bool failed_ = false;
  uint64_t sent_bytes_ = 0;
  uint64_t received_bytes_ = 0;
  ByteQueue unsent_;
};

}  // namespace pando::proxy
