// An app for the tests that serves grpc.health.v1.Health on PORT: SERVING, or NOT_SERVING after
// SIGUSR1.
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <signal.h>
#include <stdlib.h>

#include <atomic>
#include <string>

#include "grpc/health/v1/health.grpc.pb.h"

namespace {

using ::grpc::health::v1::HealthCheckRequest;
using ::grpc::health::v1::HealthCheckResponse;

std::atomic<bool> serving{true};

class Health final : public ::grpc::health::v1::Health::Service {
  ::grpc::Status Check(::grpc::ServerContext*, const HealthCheckRequest*,
                       HealthCheckResponse* response) override {
    response->set_status(serving ? HealthCheckResponse::SERVING : HealthCheckResponse::NOT_SERVING);
    return ::grpc::Status::OK;
  }
};

}  // namespace

int main() {
  // Waited for by this thread: a handler may be put off for long under a sanitizer.
  sigset_t asked;
  sigemptyset(&asked);
  sigaddset(&asked, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &asked, nullptr);
  const char* const port = getenv("PORT");
  Health health;
  ::grpc::ServerBuilder builder;
  builder.AddListeningPort(std::string("127.0.0.1:") + (port != nullptr ? port : "0"),
                           ::grpc::InsecureServerCredentials());
  builder.RegisterService(&health);
  const auto server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  for (int number = 0; sigwait(&asked, &number) == 0;) serving = false;
  return 1;
}
