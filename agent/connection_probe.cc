#include "agent/connection_probe.h"

#include <string.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace pando::agent {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

constexpr size_t kMaxStatusLine = 1'024;
constexpr size_t kMaxDrained = 256 * 1024;

std::string Describe(int error) {
  return absl::AsciiStrToLower(error_code(error, boost::system::system_category()).message());
}

// Of this host and this process, whatever the instance does.
bool IsOwnFault(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM ||
         error == EADDRNOTAVAIL;
}

bool IsPending(int error) { return error == EAGAIN || error == EINPROGRESS || error == EALREADY; }

// 0, or an errno: one that IsPending while it is not known yet.
int ConnectTo(int fd, const tcp::endpoint& endpoint) {
  if (connect(fd, endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0) return 0;
  return errno == EISCONN ? 0 : errno;
}

}  // namespace

ConnectionProbe::ConnectionProbe(asio::io_context& io, ProbePolicy policy, ProbeDone done)
    : waiting_(io), timer_(io), policy_(std::move(policy)), done_(std::move(done)) {}

void ConnectionProbe::Begin(Endpoints endpoints) {
  endpoints_ = std::move(endpoints);
  Connect();
  if (fd() < 0) return;
  timer_.expires_after(policy_.timeout);
  timer_.async_wait([self = shared_from_this()](const error_code& error) {
    if (error) return;
    self->Finish(absl::StrCat("no answer within ", self->policy_.timeout.count(), " ms"));
    self->Close();
  });
}

void ConnectionProbe::Connect() {
  const tcp::endpoint& endpoint = endpoints_[index_];
  socket_.reset(socket(endpoint.data()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_.valid()) return OnConnectError(errno);
  if (policy_.kind != ProbePolicy::Kind::kTcp) request_ = Request();
  const int error = ConnectTo(fd(), endpoint);
  if (error != 0 && !IsPending(error)) return OnConnectError(error);
  GoOn();
}

// Connects, and sends what is to be sent, as far as that goes without waiting.
void ConnectionProbe::GoOn() {
  const int error = request_.empty() ? ConnectTo(fd(), endpoints_[index_]) : Send();
  if (IsPending(error)) {
    return Await(asio::posix::stream_descriptor::wait_write, &ConnectionProbe::GoOn);
  }
  if (error != 0) return OnConnectError(error);
  if (!request_.empty()) {
    return Await(asio::posix::stream_descriptor::wait_read, &ConnectionProbe::Read);
  }
  Finish("");
  Close();
}

int ConnectionProbe::Send() {
  while (sent_ < request_.size()) {
    const ssize_t size = send(fd(), request_.data() + sent_, request_.size() - sent_, MSG_NOSIGNAL);
    if (size < 0) return errno;
    sent_ += static_cast<size_t>(size);
  }
  return 0;
}

void ConnectionProbe::OnConnectError(int error) {
  CloseSocket();
  if (sent_ == 0 && index_ + 1 < endpoints_.size()) {
    ++index_;
    return Connect();
  }
  if (IsOwnFault(error)) {
    Answer(ProbeAnswer::NotAsked(Describe(error)));
  } else {
    Finish(Describe(error));
  }
  Close();
}

void ConnectionProbe::Await(asio::posix::stream_descriptor::wait_type what,
                            void (ConnectionProbe::*then)()) {
  if (!waiting_.is_open()) {
    error_code error;
    waiting_.assign(socket_.get(), error);
    if (error) {
      Answer(ProbeAnswer::NotAsked(Describe(error.value())));
      return Close();
    }
    socket_.release();
  }
  waiting_.async_wait(what, [self = shared_from_this(), then](const error_code& error) {
    if (!error) (self.get()->*then)();
  });
}

// The verdict falls with the status line; the rest is read so that the app sees no reset.
void ConnectionProbe::Read() {
  std::array<char, 4'096> chunk;
  while (received_ <= kMaxDrained) {
    const ssize_t size = recv(fd(), chunk.data(), chunk.size(), 0);
    if (size < 0 && IsPending(errno)) {
      return Await(asio::posix::stream_descriptor::wait_read, &ConnectionProbe::Read);
    }
    if (size <= 0) {
      OnEnd(size == 0 ? 0 : errno);
      break;
    }
    OnBytes({chunk.data(), static_cast<size_t>(size)});
  }
  Close();
}

void ConnectionProbe::OnBytes(absl::string_view bytes) {
  received_ += bytes.size();
  if (!done_) return;
  absl::StrAppend(&answer_, bytes);
  const size_t line_end = answer_.find('\n');
  if (line_end != std::string::npos) {
    Finish(Judge(absl::string_view(answer_).substr(0, line_end)));
  } else if (answer_.size() > kMaxStatusLine) {
    Finish("the answer is not HTTP");
  }
}

void ConnectionProbe::OnEnd(int error) {
  Finish(error == 0 ? "it closed the connection without an answer" : Describe(error));
}

std::string ConnectionProbe::Request() const {
  std::string host = policy_.host;
  if (host.empty()) {
    const tcp::endpoint& endpoint = endpoints_[index_];
    const bool v6 = endpoint.address().is_v6();
    host = absl::StrCat(v6 ? "[" : "", endpoint.address().to_string(), v6 ? "]" : "", ":",
                        endpoint.port());
  }
  std::map<std::string, std::string> fields = {{"User-Agent", "pando-agent"}, {"Accept", "*/*"}};
  for (const auto& [name, value] : policy_.headers) {
    // The spec's word counts, however it writes the name.
    std::erase_if(fields, [&name = name](const auto& field) {
      return absl::EqualsIgnoreCase(field.first, name);
    });
    fields[name] = value;
  }
  std::string request = absl::StrCat("GET ", policy_.path.empty() ? "/" : policy_.path,
                                     " HTTP/1.1\r\nHost: ", host, "\r\n");
  for (const auto& [name, value] : fields) absl::StrAppend(&request, name, ": ", value, "\r\n");
  return absl::StrCat(request, "Connection: close\r\n\r\n");
}

std::string ConnectionProbe::Judge(absl::string_view status_line) const {
  int status = 0;
  // "HTTP/1.1 200 OK"
  if (!absl::StartsWith(status_line, "HTTP/") || status_line.size() < 12 ||
      !absl::SimpleAtoi(status_line.substr(9, 3), &status)) {
    return "the answer is not HTTP";
  }
  bool passes = policy_.codes.empty() && status >= 200 && status <= 399;
  for (const auto& [first, last] : policy_.codes) passes |= status >= first && status <= last;
  if (passes) return "";
  return absl::StrCat("HTTP status ", status);
}

void ConnectionProbe::Answer(ProbeAnswer answer) {
  if (!done_) return;
  asio::post(timer_.get_executor(),
             [done = std::exchange(done_, nullptr), answer = std::move(answer)] { done(answer); });
}

void ConnectionProbe::Close() {
  timer_.cancel();
  CloseSocket();
}

void ConnectionProbe::CloseSocket() {
  error_code ignored;
  waiting_.close(ignored);
  socket_.reset();
}

}  // namespace pando::agent
