#include "agent/page_fetch.h"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace pando::agent {
namespace {

namespace beast = boost::beast;
namespace http = beast::http;
using boost::asio::ip::tcp;
using boost::system::error_code;

class PageFetch : public std::enable_shared_from_this<PageFetch> {
 public:
  PageFetch(boost::asio::io_context& io, std::vector<tcp::endpoint> addresses,
            const std::string& path, const PageLimits& limits, PageDone done)
      : stream_(io), addresses_(std::move(addresses)), limits_(limits), done_(std::move(done)) {
    request_.method(http::verb::get);
    request_.target(path);
    request_.version(11);
    request_.set(http::field::user_agent, "pando-agent");
    request_.set(http::field::accept, "text/plain;version=0.0.4");
    request_.keep_alive(false);
    parser_.body_limit(limits.bytes);
  }

  void Begin() {
    stream_.expires_after(limits_.timeout);  // of all that follows together
    stream_.async_connect(addresses_, [self = shared_from_this()](const error_code& error,
                                                                  const tcp::endpoint& address) {
      if (error) return self->Fail(error);
      self->Ask(address);
    });
  }

 private:
  void Ask(const tcp::endpoint& address) {
    const bool v6 = address.address().is_v6();
    request_.set(http::field::host, absl::StrCat(v6 ? "[" : "", address.address().to_string(),
                                                 v6 ? "]:" : ":", address.port()));
    http::async_write(stream_, request_,
                      [self = shared_from_this()](const error_code& error, size_t) {
                        if (error) return self->Fail(error);
                        self->Read();
                      });
  }

  void Read() {
    http::async_read(stream_, buffer_, parser_,
                     [self = shared_from_this()](const error_code& error, size_t) {
                       if (error) return self->Fail(error);
                       self->Finish();
                     });
  }

  void Finish() {
    if (parser_.get().result() != http::status::ok) {
      return done_(
          absl::UnavailableError(absl::StrCat("HTTP status ", parser_.get().result_int())));
    }
    done_(std::move(parser_.get().body()));
  }

  void Fail(const error_code& error) {
    if (error == beast::error::timeout) {
      done_(absl::DeadlineExceededError(
          absl::StrCat("no answer within ", limits_.timeout.count(), " ms")));
    } else if (error == http::error::body_limit) {
      done_(absl::ResourceExhaustedError(absl::StrCat("more than ", limits_.bytes, " bytes")));
    } else {
      done_(absl::UnavailableError(error.message()));
    }
  }

  beast::tcp_stream stream_;
  const std::vector<tcp::endpoint> addresses_;
  const PageLimits limits_;
  const PageDone done_;
  http::request<http::empty_body> request_;
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> parser_;
};

}  // namespace

void FetchPage(boost::asio::io_context& io, std::vector<tcp::endpoint> addresses,
               const std::string& path, const PageLimits& limits, PageDone done) {
  std::make_shared<PageFetch>(io, std::move(addresses), path, limits, std::move(done))->Begin();
}

}  // namespace pando::agent
