#include "common/runtime/admin_http.h"

#include <fcntl.h>
#include <sys/socket.h>

#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/runtime/flags.h"
#include "common/runtime/log.h"

namespace pando {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr size_t kMaxConnections = 64;
constexpr uint32_t kMaxHeadBytes = 8 * 1024;
constexpr std::chrono::seconds kIdleTimeout{10};
constexpr Millis kAcceptRetry{100};

// Asio does not set it, and an agent forks: an instance must not hold the agent's port.
void CloseOnExec(int fd) { fcntl(fd, F_SETFD, FD_CLOEXEC); }

AdminResponse Plain(int status, absl::string_view body) {
  return {.status = status, .body = absl::StrCat(body, "\n")};
}

class Session;

// Outlives the server as long as a session does. A handler of Asio that was queued before the
// server went still runs, so it looks here before it touches the server.
struct Shared {
  bool closed = false;
  std::map<std::string, AdminHttp::Handler> handlers;
  std::set<Session*> sessions;
};

// One connection: reads a head, answers it, again while keep-alive holds.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, std::shared_ptr<Shared> shared)
      : stream_(std::move(socket)), shared_(std::move(shared)) {
    shared_->sessions.insert(this);
  }
  ~Session() { shared_->sessions.erase(this); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void Start() { ReadHead(); }
  void Close() { stream_.close(); }

 private:
  void ReadHead() {
    parser_.emplace();
    parser_->header_limit(kMaxHeadBytes);
    stream_.expires_after(kIdleTimeout);
    http::async_read_header(
        stream_, buffer_, *parser_,
        [self = shared_from_this()](const error_code& error, size_t) { self->OnHead(error); });
  }

  void OnHead(const error_code& error) {
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
      Write(Plain(431, "request head too large"), /*keep_alive=*/false, /*head_only=*/false);
      return;
    }
    const bool malformed = error && error.category() == http::make_error_code({}).category() &&
                           error != http::error::end_of_stream &&
                           error != http::error::partial_message;
    if (malformed) {
      Write(Plain(400, "bad request"), /*keep_alive=*/false, /*head_only=*/false);
      return;
    }
    if (error) return;  // closed, timed out or reset: nobody to answer
    const auto& request = parser_->get();
    const bool head_only = request.method() == http::verb::head;
    if (!head_only && request.method() != http::verb::get) {
      Write(Plain(405, "only GET and HEAD"), /*keep_alive=*/false, /*head_only=*/false);
      return;
    }
    // A body would have to be read to find the next request: close instead.
    const bool keep_alive = request.keep_alive() && parser_->is_done();
    Write(Respond(std::string(request.target().data(), request.target().size())), keep_alive,
          head_only);
  }

  AdminResponse Respond(const std::string& target) {
    const std::string path = target.substr(0, target.find('?'));
    const auto found = shared_->handlers.find(path);
    if (found != shared_->handlers.end()) return found->second();
    std::string known = "no such page; there are:";
    for (const auto& [name, handler] : shared_->handlers) absl::StrAppend(&known, " ", name);
    return Plain(404, known);
  }

  void Write(AdminResponse answer, bool keep_alive, bool head_only) {
    response_.emplace(http::status::ok, 11);
    response_->result(static_cast<unsigned>(answer.status));
    response_->set(http::field::content_type, answer.content_type);
    response_->set(http::field::cache_control, "no-store");
    response_->set("X-Content-Type-Options", "nosniff");
    if (answer.status == 405) response_->set(http::field::allow, "GET, HEAD");
    response_->keep_alive(keep_alive);
    response_->content_length(answer.body.size());
    if (!head_only) response_->body() = std::move(answer.body);
    stream_.expires_after(kIdleTimeout);
    http::async_write(stream_, *response_,
                      [self = shared_from_this(), keep_alive](const error_code& error, size_t) {
                        if (error) return;
                        if (keep_alive) {
                          self->ReadHead();
                        } else {
                          self->FinishClosing();
                        }
                      });
  }

  // Closing with unread input resets the connection, and the peer may lose the answer: stop
  // sending, then read what is left until the peer closes or the timeout hits.
  void FinishClosing() {
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    buffer_.clear();
    Drain();
  }
  void Drain() {
    stream_.async_read_some(asio::buffer(discarded_),
                            [self = shared_from_this()](const error_code& error, size_t) {
                              if (!error) self->Drain();
                            });
  }

  beast::tcp_stream stream_;
  std::shared_ptr<Shared> shared_;
  beast::flat_buffer buffer_{kMaxHeadBytes * 2};
  std::optional<http::request_parser<http::empty_body>> parser_;
  std::optional<http::response<http::string_body>> response_;
  std::array<char, 1024> discarded_{};
};

absl::Status CannotListen(const std::string& address, const error_code& error,
                          const std::string& flag) {
  std::string reason = error.message();
  if (!reason.empty()) reason[0] = absl::ascii_tolower(reason[0]);
  std::string cause;
  if (error == asio::error::address_in_use) {
    cause = "another program has it; ";
  } else if (error == asio::error::access_denied) {
    cause = "ports below 1024 need root; ";
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "cannot listen on ", address, ": ", reason, " (", cause, "choose another with ", flag, ")"));
}

}  // namespace

class AdminHttp::Server {
 public:
  explicit Server(EventLoop& loop) : acceptor_(loop.io()), retry_(loop.io()) {}
  ~Server() {
    shared_->closed = true;
    shared_->handlers.clear();  // what they refer to may go next
    for (Session* session : shared_->sessions) session->Close();
  }

  std::map<std::string, Handler>& handlers() { return shared_->handlers; }
  uint16_t port() const { return port_; }
  const std::string& address() const { return address_; }

  absl::Status Listen(const std::string& address, const std::string& flag_name) {
    const std::string flag = absl::StrCat("--", std::string(absl::StripPrefix(flag_name, "--")));
    PANDO_ASSIGN_OR_RETURN(const HostPort host_port, ParseHostPort(flag, address));
    error_code error;
    tcp::resolver resolver(acceptor_.get_executor());
    const auto found = resolver.resolve(host_port.host, std::to_string(host_port.port),
                                        tcp::resolver::passive, error);
    if (error) return CannotListen(address, error, flag);
    const tcp::endpoint endpoint = found.begin()->endpoint();
    acceptor_.open(endpoint.protocol(), error);
    if (!error) CloseOnExec(acceptor_.native_handle());
    if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
    if (!error) acceptor_.bind(endpoint, error);
    if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) {
      error_code ignored;
      acceptor_.close(ignored);
      return CannotListen(address, error, flag);
    }
    port_ = acceptor_.local_endpoint().port();
    const bool is_v6 = acceptor_.local_endpoint().address().is_v6();
    const std::string host = acceptor_.local_endpoint().address().to_string();
    address_ = is_v6 ? absl::StrCat("[", host, "]:", port_) : absl::StrCat(host, ":", port_);
    Accept();
    return absl::OkStatus();
  }

  void Adopt(UniqueFd listening) {
    sockaddr_storage address{};
    socklen_t size = sizeof(address);
    getsockname(listening.get(), reinterpret_cast<sockaddr*>(&address), &size);
    const bool v6 = address.ss_family == AF_INET6;
    acceptor_.assign(v6 ? tcp::v6() : tcp::v4(), listening.release());
    port_ = acceptor_.local_endpoint().port();
    Accept();
  }

  UniqueFd ShareListener() {
    return UniqueFd(fcntl(acceptor_.native_handle(), F_DUPFD_CLOEXEC, 0));
  }

  void StopListening() {
    error_code ignored;
    acceptor_.close(ignored);
  }

 private:
  void Accept() {
    acceptor_.async_accept([this, shared = shared_](const error_code& error, tcp::socket socket) {
      if (shared->closed || !acceptor_.is_open()) return;
      if (error) {
        RetryAfter(error);
        return;
      }
      CloseOnExec(socket.native_handle());
      if (shared->sessions.size() < kMaxConnections) {
        std::make_shared<Session>(std::move(socket), shared)->Start();
      }
      Accept();
    });
  }

  // Out of descriptors, most likely: at once again would spin.
  void RetryAfter(const error_code& error) {
    LogWarn("admin connection not accepted", {{"error", error.message()}});
    retry_.expires_after(kAcceptRetry);
    retry_.async_wait([this, shared = shared_](const error_code&) {
      if (!shared->closed && acceptor_.is_open()) Accept();
    });
  }

  tcp::acceptor acceptor_;
  asio::steady_timer retry_;
  std::shared_ptr<Shared> shared_ = std::make_shared<Shared>();
  uint16_t port_ = 0;
  std::string address_;
};

AdminHttp::AdminHttp(EventLoop& loop, Metrics& metrics) : server_(std::make_unique<Server>(loop)) {
  Handle("/healthz", [] { return Plain(200, "ok"); });
  Handle("/metrics", [&metrics] {
    return AdminResponse{.content_type = "text/plain; version=0.0.4; charset=utf-8",
                         .body = metrics.Serialize()};
  });
}

AdminHttp::~AdminHttp() = default;

void AdminHttp::Handle(std::string path, Handler handler) {
  server_->handlers()[std::move(path)] = std::move(handler);
}

absl::Status AdminHttp::Listen(const std::string& address, const std::string& flag_name) {
  return server_->Listen(address, flag_name);
}

void AdminHttp::Adopt(UniqueFd listening) { server_->Adopt(std::move(listening)); }

UniqueFd AdminHttp::ShareListener() const { return server_->ShareListener(); }

void AdminHttp::StopListening() { server_->StopListening(); }

uint16_t AdminHttp::port() const { return server_->port(); }

std::string AdminHttp::address() const { return server_->address(); }

}  // namespace pando
