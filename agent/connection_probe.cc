#include "agent/connection_probe.h"

#include <string.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/system/error_code.hpp>
#include <cerrno>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace pando::agent {
namespace {

using boost::asio::ip::tcp;
using boost::system::error_code;

constexpr size_t kMaxStatusLine = 1'024;
constexpr size_t kMaxDrained = 256 * 1024;
constexpr std::pair<absl::string_view, absl::string_view> kOwnFields[] = {
    {"Accept", "*/*"}, {"User-Agent", "pando-agent"}};

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

ConnectionProbe::Wait ConnectionProbe::Connect() {
  const tcp::endpoint& endpoint = endpoints_[index_];
  socket_.reset(socket(endpoint.data()->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  ++sockets_;
  if (!socket_.valid()) return OnConnectError(errno);
  if (policy_.kind != ProbePolicy::Kind::kTcp) request_ = Request();
  const int error = ConnectTo(fd(), endpoint);
  if (error != 0 && !IsPending(error)) return OnConnectError(error);
  return GoOn();
}

ConnectionProbe::Wait ConnectionProbe::GoOn() {
  if (!request_.empty() && sent_ == request_.size()) return Read();
  const int error = request_.empty() ? ConnectTo(fd(), endpoints_[index_]) : Send();
  if (IsPending(error)) return Wait::kWritable;
  if (error != 0) return OnConnectError(error);
  if (!request_.empty()) return Wait::kReadable;
  Finish("");
  socket_.reset();
  return Wait::kNothing;
}

int ConnectionProbe::Send() {
  while (sent_ < request_.size()) {
    const ssize_t size = send(fd(), request_.data() + sent_, request_.size() - sent_, MSG_NOSIGNAL);
    if (size < 0) return errno;
    sent_ += static_cast<size_t>(size);
  }
  return 0;
}

ConnectionProbe::Wait ConnectionProbe::OnConnectError(int error) {
  socket_.reset();
  if (sent_ == 0 && index_ + 1 < endpoints_.size()) {
    ++index_;
    return Connect();
  }
  if (IsOwnFault(error)) {
    Answer(ProbeAnswer::NotAsked(Describe(error)));
  } else {
    Finish(Describe(error));
  }
  return Wait::kNothing;
}

// The verdict falls with the status line; the rest is read so that the app sees no reset.
ConnectionProbe::Wait ConnectionProbe::Read() {
  char chunk[4'096];
  while (received_ <= kMaxDrained) {
    const ssize_t size = recv(fd(), chunk, sizeof(chunk), 0);
    if (size < 0 && IsPending(errno)) return Wait::kReadable;
    if (size <= 0) {
      Finish(size == 0 ? "it closed the connection without an answer" : Describe(errno));
      break;
    }
    OnBytes({chunk, static_cast<size_t>(size)});
  }
  socket_.reset();
  return Wait::kNothing;
}

void ConnectionProbe::OnBytes(absl::string_view bytes) {
  received_ += bytes.size();
  if (judged_) return;
  absl::StrAppend(&status_line_, bytes);
  const size_t line_end = status_line_.find('\n');
  if (line_end != std::string::npos) {
    Finish(Judge(absl::string_view(status_line_).substr(0, line_end)));
  } else if (status_line_.size() > kMaxStatusLine) {
    Finish("the answer is not HTTP");
  }
}

void ConnectionProbe::Expire() {
  Finish(absl::StrCat("no answer within ", policy_.timeout.count(), " ms"));
  socket_.reset();
}

void ConnectionProbe::GiveUp(std::string why) {
  Answer(ProbeAnswer::NotAsked(std::move(why)));
  socket_.reset();
}

std::string ConnectionProbe::Request() const {
  std::string host = policy_.host;
  if (host.empty()) {
    const tcp::endpoint& endpoint = endpoints_[index_];
    const bool v6 = endpoint.address().is_v6();
    host = absl::StrCat(v6 ? "[" : "", endpoint.address().to_string(), v6 ? "]" : "", ":",
                        endpoint.port());
  }
  std::string request = absl::StrCat("GET ", policy_.path.empty() ? "/" : policy_.path,
                                     " HTTP/1.1\r\nHost: ", host, "\r\n");
  for (const auto& [name, value] : kOwnFields) {
    // The spec's word counts, however it writes the name.
    const bool is_given =
        std::any_of(policy_.headers.begin(), policy_.headers.end(),
                    [name = name](const auto& h) { return absl::EqualsIgnoreCase(h.first, name); });
    if (!is_given) absl::StrAppend(&request, name, ": ", value, "\r\n");
  }
  for (const auto& [name, value] : policy_.headers) {
    absl::StrAppend(&request, name, ": ", value, "\r\n");
  }
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
  if (!std::exchange(judged_, true)) answer_ = std::move(answer);
}

}  // namespace pando::agent
