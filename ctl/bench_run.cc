#include "ctl/bench_run.h"

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace pando::ctl {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;
using Request = http::request<http::string_body>;

constexpr uint64_t kMaxBody = 256 << 20;

// Groups errors: "connect: Connection refused".
std::string Describe(const char* what, const error_code& error) {
  if (error == beast::error::timeout) return absl::StrCat(what, ": timed out");
  if (error == http::error::end_of_stream || error == asio::error::eof) {
    return absl::StrCat(what, ": connection closed");
  }
  return absl::StrCat(what, ": ", error.message());
}

class Bench;

// One client connection: idle, or at work on one request.
class Connection {
 public:
  Connection(asio::io_context& io, Bench& bench) : stream_(io), bench_(bench) {}
  void Start(Clock::time_point due);

 private:
  void Send();
  void OnConnected(const error_code& error);
  void Read();
  void OnRead(const error_code& error);
  // A kept connection the server closed just then says nothing of the server.
  void Fail(const char* what, const error_code& error);
  void Disconnect();

  beast::tcp_stream stream_;
  Bench& bench_;
  beast::flat_buffer buffer_;
  std::optional<http::response_parser<http::string_body>> parser_;
  Clock::time_point due_;
  bool connected_ = false;
  bool reused_ = false;
};

class Bench {
 public:
  Bench(const BenchPlan& plan, tcp::resolver::results_type addresses,
        const std::function<void(const BenchResult&)>& progress, asio::io_context& io)
      : plan_(plan),
        addresses_(std::move(addresses)),
        progress_(progress),
        io_(io),
        timer_(io),
        second_(io),
        end_(io),
        request_(MakeRequest(plan)) {
    for (uint32_t i = 0; i < plan.connections; ++i) {
      connections_.push_back(std::make_unique<Connection>(io, *this));
      idle_.push_back(connections_.back().get());
    }
    result_.due = plan.requests();
  }

  BenchResult Run() {
    start_ = Clock::now();
    end_.expires_at(start_ + plan_.duration + plan_.timeout);
    end_.async_wait([this](const error_code& error) {
      if (!error) io_.stop();
    });
    if (progress_) EverySecond();
    OnDue();
    io_.run();
    result_.elapsed =
        std::chrono::duration_cast<Millis>((ended_ ? *ended_ : Clock::now()) - start_);
    const uint64_t counted = result_.answered + lost_;
    if (counted < result_.due) result_.errors["not answered by the end"] += result_.due - counted;
    return std::move(result_);
  }

  // ---- of the connections ----
  const BenchPlan& plan() const { return plan_; }
  const tcp::resolver::results_type& addresses() const { return addresses_; }
  const Request& request() const { return request_; }
  void CountConnect() { ++result_.connects; }
  void OnAnswer(unsigned status, Clock::time_point due) {
    ++result_.answered;
    ++result_.by_status[status];
    result_.latency.Record(Clock::now() - due);
  }
  void OnError(std::string what) {
    ++lost_;
    ++result_.errors[std::move(what)];
  }
  // The connection takes the request that is due longest, or waits for one.
  void OnIdle(Connection& connection) {
    if (taken_ < due_) return Give(connection);
    idle_.push_back(&connection);
    if (taken_ == result_.due && idle_.size() == connections_.size()) {
      ended_ = Clock::now();
      io_.stop();
    }
  }

 private:
  static Request MakeRequest(const BenchPlan& plan) {
    Request request;
    request.method_string(plan.method);
    request.target(plan.url.target);
    request.version(11);
    const bool v6 = plan.url.host.find(':') != std::string::npos;
    const std::string host = v6 ? absl::StrCat("[", plan.url.host, "]") : plan.url.host;
    request.set(http::field::host,
                plan.url.port == 80 ? host : absl::StrCat(host, ":", plan.url.port));
    request.set(http::field::user_agent, "ctl-bench");
    for (const auto& [name, value] : plan.headers) request.set(name, value);
    request.body() = plan.body;
    if (!plan.body.empty() || plan.method == "POST" || plan.method == "PUT") {
      request.content_length(plan.body.size());
    }
    return request;
  }

  void Give(Connection& connection) {
    const Clock::time_point due = start_ + plan_.DueAfter(taken_++);
    result_.longest_wait =
        std::max<std::chrono::nanoseconds>(result_.longest_wait, Clock::now() - due);
    connection.Start(due);
  }

  void OnDue() {
    due_ = plan_.DueAt(Clock::now() - start_);
    while (taken_ < due_ && !idle_.empty()) {
      Connection* const connection = idle_.back();
      idle_.pop_back();
      Give(*connection);
    }
    if (due_ == result_.due) return;
    timer_.expires_at(start_ + plan_.DueAfter(due_));
    timer_.async_wait([this](const error_code& error) {
      if (!error) OnDue();
    });
  }

  void EverySecond() {
    second_.expires_after(std::chrono::seconds(1));
    second_.async_wait([this](const error_code& error) {
      if (error) return;
      result_.elapsed = std::chrono::duration_cast<Millis>(Clock::now() - start_);
      progress_(result_);
      EverySecond();
    });
  }

  const BenchPlan& plan_;
  const tcp::resolver::results_type addresses_;
  const std::function<void(const BenchResult&)>& progress_;
  asio::io_context& io_;
  asio::steady_timer timer_, second_, end_;
  const Request request_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<Connection*> idle_;
  Clock::time_point start_;
  std::optional<Clock::time_point> ended_;
  uint64_t due_ = 0;    // requests that should have begun by now
  uint64_t taken_ = 0;  // of those, given to a connection
  uint64_t lost_ = 0;
  BenchResult result_;
};

void Connection::Start(Clock::time_point due) {
  due_ = due;
  reused_ = connected_;
  parser_.reset();
  stream_.expires_after(bench_.plan().timeout);
  if (connected_) return Send();
  bench_.CountConnect();
  stream_.async_connect(bench_.addresses(), [this](const error_code& error, const tcp::endpoint&) {
    OnConnected(error);
  });
}

void Connection::OnConnected(const error_code& error) {
  if (error) return Fail("connect", error);
  connected_ = true;
  error_code ignored;
  stream_.socket().set_option(tcp::no_delay(true), ignored);
  Send();
}

void Connection::Send() {
  http::async_write(stream_, bench_.request(), [this](const error_code& error, size_t) {
    if (error) return Fail("write", error);
    Read();
  });
}

void Connection::Read() {
  parser_.emplace();
  parser_->body_limit(kMaxBody);
  parser_->skip(bench_.request().method() == http::verb::head);
  http::async_read(stream_, buffer_, *parser_,
                   [this](const error_code& error, size_t) { OnRead(error); });
}

void Connection::OnRead(const error_code& error) {
  if (error) return Fail("read", error);
  bench_.OnAnswer(parser_->get().result_int(), due_);
  if (!parser_->get().keep_alive()) Disconnect();
  bench_.OnIdle(*this);
}

void Connection::Fail(const char* what, const error_code& error) {
  const bool said_nothing = !parser_ || !parser_->got_some();
  Disconnect();
  if (std::exchange(reused_, false) && said_nothing && error != beast::error::timeout) {
    bench_.CountConnect();
    stream_.expires_after(bench_.plan().timeout);
    stream_.async_connect(
        bench_.addresses(),
        [this](const error_code& failed, const tcp::endpoint&) { OnConnected(failed); });
    return;
  }
  bench_.OnError(Describe(what, error));
  bench_.OnIdle(*this);
}

void Connection::Disconnect() {
  error_code ignored;
  stream_.socket().close(ignored);
  buffer_.clear();
  connected_ = false;
}

}  // namespace

absl::StatusOr<BenchResult> RunBench(const BenchPlan& plan,
                                     const std::function<void(const BenchResult&)>& progress) {
  asio::io_context io(1);
  tcp::resolver resolver(io);
  error_code error;
  tcp::resolver::results_type addresses =
      resolver.resolve(plan.url.host, absl::StrCat(plan.url.port), error);
  if (error) {
    return absl::UnavailableError(
        absl::StrCat("cannot find the host ", plan.url.host, ": ", error.message()));
  }
  Bench bench(plan, std::move(addresses), progress, io);
  return bench.Run();
}

}  // namespace pando::ctl
