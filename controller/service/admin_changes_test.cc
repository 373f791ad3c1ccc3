// Changes over gRPC, against a whole controller: plans, conflicts, repeated requests, and who it
// was.
#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "controller/service/controller_app.h"
#include "controller/store/records.h"
#include "controller/store/sqlite_store.h"
#include "controller/store/store_test_dir.h"
#include "pando/v1/admin.grpc.pb.h"

namespace pando::controller {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr std::chrono::seconds kDeadline{60};

class AdminChangesTest : public ::testing::Test {
 protected:
  AdminChangesTest() { StartController(); }
  ~AdminChangesTest() override { StopController(); }

  void StartController() {
    ControllerOptions options;
    options.data_dir = dir_.path();
    options.listen = {"127.0.0.1", 0};
    options.http_listen = {"127.0.0.1", 0};
    auto app = ControllerApp::Create(options);
    ASSERT_TRUE(app.ok()) << app.status();
    app_ = *std::move(app);
    runner_ = std::thread([this] { EXPECT_TRUE(app_->Run().ok()); });
    admin_ = v1::Admin::NewStub(grpc::CreateChannel(
        "127.0.0.1:" + std::to_string(app_->grpc_port()), grpc::InsecureChannelCredentials()));
  }
  void StopController() {
    app_->RequestStop();
    runner_.join();
    app_.reset();
  }

  template <class Request, class Response>
  grpc::Status Call(grpc::Status (v1::Admin::Stub::*method)(grpc::ClientContext*, const Request&,
                                                            Response*),
                    const Request& request, Response* response) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kDeadline);
    return (admin_.get()->*method)(&context, request, response);
  }

  static v1::ApplyRequest Spec(const std::string& yaml) {
    v1::ApplyRequest request;
    request.set_yaml(yaml);
    request.set_filename("app.yaml");
    request.mutable_options()->set_by("ana@laptop");
    return request;
  }
  v1::ApplyResponse Apply(const v1::ApplyRequest& request) {
    v1::ApplyResponse response;
    const grpc::Status status = Call(&v1::Admin::Stub::Apply, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  static v1::ScaleRequest ScaleBy(int32_t delta, const std::string& id) {
    v1::ScaleRequest request;
    request.set_app("web");
    request.set_delta(delta);
    request.set_relative(true);
    request.mutable_options()->set_request_id(id);
    request.mutable_options()->set_by("bob@ci");
    return request;
  }
  v1::ChangeResponse Scale(const v1::ScaleRequest& request) {
    v1::ChangeResponse response;
    const grpc::Status status = Call(&v1::Admin::Stub::Scale, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  }
  v1::AppView App() {
    v1::ClusterView view;
    EXPECT_TRUE(Call(&v1::Admin::Stub::GetCluster, v1::ClusterRequest(), &view).ok());
    return view.apps_size() == 1 ? view.apps(0) : v1::AppView();
  }
  std::vector<std::string> Events(v1::EventsRequest request = {}) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kDeadline);
    const auto stream = admin_->Events(&context, request);
    std::vector<std::string> events;
    v1::Event event;
    while (stream->Read(&event)) events.push_back(event.kind() + ": " + event.message());
    EXPECT_TRUE(stream->Finish().ok());
    return events;
  }

  TestDir dir_;
  std::unique_ptr<ControllerApp> app_;
  std::thread runner_;
  std::unique_ptr<v1::Admin::Stub> admin_;
};

constexpr char kWeb[] = "name: web\ncommand: [a]\nreplicas: 2\n";

TEST_F(AdminChangesTest, APlanTellsTheDifferenceAndChangesNothing) {
  Apply(Spec(kWeb));
  v1::ApplyRequest plan =
      Spec("name: web\ncommand: [b]\nreplicas: 3\n---\nkind: Gateway\nport: 81\n");
  plan.set_dry_run(true);
  const v1::ApplyResponse planned = Apply(plan);
  ASSERT_EQ(planned.apps_size(), 1);
  EXPECT_EQ(planned.apps(0).changes_size(), 2);
  EXPECT_EQ(planned.apps(0).old_generation(), 1u);
  EXPECT_THAT(planned.apps(0).steps(), ElementsAre(HasSubstr("replaces 2"), "starts 1 more"));
  EXPECT_THAT(planned.gateways(), ElementsAre("default"));
  ASSERT_EQ(planned.gateway_plans_size(), 1);
  EXPECT_NE(planned.gateway_plans(0).old_version(), 0u);
  EXPECT_EQ(App().revision(), 1u);
  EXPECT_EQ(App().replicas(), 2u);
}

TEST_F(AdminChangesTest, SeveralFilesAreAppliedTogetherOrNotAtAll) {
  v1::ApplyRequest request = Spec("name: web\ncommand: [a]\nroute: {hosts: [a.org]}\n");
  v1::ApplyRequest::File& more = *request.add_more_files();
  more.set_filename("b.yaml");
  more.set_yaml("name: api\ncommand: [a]\nroute: {hosts: [a.org]}\n");
  v1::ApplyResponse response;
  const grpc::Status status = Call(&v1::Admin::Stub::Apply, request, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("both claim"));
  EXPECT_EQ(App().name(), "");
  more.set_yaml("name: api\ncommand: [a]\nroute: {hosts: [b.org]}\n");
  EXPECT_EQ(Apply(request).apps_size(), 2);
}

TEST_F(AdminChangesTest, WhatWasChangedMeanwhileIsNotOverwritten) {
  v1::ApplyRequest plan = Spec(kWeb);
  plan.set_dry_run(true);
  EXPECT_EQ(Apply(plan).apps(0).old_generation(), 0u);
  Apply(Spec(kWeb));

  // Planned before there was one.
  v1::ApplyRequest late = Spec("name: web\ncommand: [late]\n");
  (*late.mutable_if_generations())["web"] = 0;
  v1::ApplyResponse response;
  grpc::Status status = Call(&v1::Admin::Stub::Apply, late, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_THAT(status.error_message(), HasSubstr("web is there already"));
  EXPECT_THAT(status.error_message(), HasSubstr("applied: revision 0 -> 1"));
  EXPECT_THAT(status.error_message(), HasSubstr("by ana@laptop"));

  // Planned on generation 1, which somebody scales.
  Scale(ScaleBy(+3, ""));
  (*late.mutable_if_generations())["web"] = 1;
  status = Call(&v1::Admin::Stub::Apply, late, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_THAT(status.error_message(), HasSubstr("scaled: replicas 2 -> 5, by bob@ci"));
  EXPECT_EQ(App().revision(), 1u);
  EXPECT_EQ(App().replicas(), 5u);

  v1::ScaleRequest scale = ScaleBy(+1, "");
  scale.mutable_options()->set_if_generation(1);
  v1::ChangeResponse scaled;
  EXPECT_EQ(Call(&v1::Admin::Stub::Scale, scale, &scaled).error_code(), grpc::StatusCode::ABORTED);
  scale.mutable_options()->set_if_generation(2);
  EXPECT_EQ(Scale(scale).replicas(), 6u);

  // Gateways likewise.
  v1::ApplyRequest gateway = Spec("kind: Gateway\nport: 81\n");
  gateway.set_dry_run(true);
  const uint64_t version = Apply(gateway).gateway_plans(0).old_version();
  Apply(Spec("kind: Gateway\nport: 82\n"));
  gateway.set_dry_run(false);
  (*gateway.mutable_if_gateways())["default"] = version;
  status = Call(&v1::Admin::Stub::Apply, gateway, &response);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::ABORTED);
  EXPECT_THAT(status.error_message(), HasSubstr("gateway default"));
}

TEST_F(AdminChangesTest, ARepeatedRequestIsAnsweredTheSameAndNotDoneTwice) {
  Apply(Spec(kWeb));
  const v1::ScaleRequest request = ScaleBy(+2, "request-1");
  const v1::ChangeResponse first = Scale(request);
  EXPECT_EQ(first.replicas(), 4u);
  EXPECT_EQ(Scale(request).SerializeAsString(), first.SerializeAsString());
  EXPECT_EQ(App().replicas(), 4u);

  StopController();
  StartController();
  EXPECT_EQ(Scale(request).SerializeAsString(), first.SerializeAsString());
  EXPECT_EQ(App().replicas(), 4u);
  // The same id for another kind of request is another request; so is another id.
  v1::AppRequest stop;
  stop.mutable_options()->set_request_id("request-1");
  v1::ChangeResponse stopped;
  EXPECT_TRUE(Call(&v1::Admin::Stub::Stop, stop, &stopped).ok());
  EXPECT_TRUE(App().stopped());
  EXPECT_EQ(Scale(ScaleBy(+2, "request-2")).replicas(), 6u);
}

TEST_F(AdminChangesTest, ARefusedRequestIsDecidedAnew) {
  const v1::ScaleRequest request = ScaleBy(+2, "request-1");
  v1::ChangeResponse response;
  EXPECT_EQ(Call(&v1::Admin::Stub::Scale, request, &response).error_code(),
            grpc::StatusCode::NOT_FOUND);
  Apply(Spec(kWeb));
  EXPECT_EQ(Scale(request).replicas(), 4u);
  v1::ScaleRequest bad = request;
  bad.mutable_options()->set_by("a\nb");
  EXPECT_EQ(Call(&v1::Admin::Stub::Scale, bad, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(AdminChangesTest, WhatCannotWorkIsRefusedWithItsPlaceInTheFile) {
  Apply(Spec("name: web\ncommand: [a]\nroute: {hosts: [a.org]}\n"));
  Apply(Spec(
      "kind: Gateway\nport: 8443\ntls: {certificates: [{cert: /a, key: /b}], redirect: 81}\n"));
  struct Case {
    std::string name;
    std::string yaml;
    std::string want;
  };
  const Case cases[] = {
      {"a route that another app has", "name: api\ncommand: [a]\nroute:\n  hosts: [a.org]\n",
       "app.yaml:3: route: api and web both claim host a.org path /"},
      {"two documents with one route", "name: one\ncommand: [a]\n---\nname: two\ncommand: [a]\n",
       "app.yaml:4: route: one and two both claim host * path /"},
      {"a gateway's port", "kind: Gateway\nname: edge\n\nport: 8443\n",
       "app.yaml:4: port: gateways default and edge both claim 0.0.0.0:8443"},
      {"a redirect's port", "kind: Gateway\nname: edge\nport: 81\n",
       "app.yaml:3: port: gateways default and edge both claim 0.0.0.0:81"},
      {"a port of all addresses", "kind: Gateway\nname: edge\naddress: 127.0.0.1\nport: 81\n",
       "app.yaml:4: port: gateways default and edge both claim port 81: 0.0.0.0:81 and "
       "127.0.0.1:81 "
       "overlap"},
      {"a redirect's own port",
       "kind: Gateway\nname: edge\nport: 9443\ntls:\n  certificates: [{cert: /a, key: /b}]\n"
       "  redirect: 8443\n",
       "app.yaml:6: tls.redirect: gateways default and edge both claim 0.0.0.0:8443"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    for (const bool dry_run : {true, false}) {
      v1::ApplyRequest request = Spec(c.yaml);
      request.set_dry_run(dry_run);
      v1::ApplyResponse response;
      const grpc::Status status = Call(&v1::Admin::Stub::Apply, request, &response);
      EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
      EXPECT_THAT(status.error_message(), ::testing::StartsWith(c.want));
    }
  }
  EXPECT_EQ(App().name(), "web");
}

TEST_F(AdminChangesTest, EventsOfAnAppThatNeverWasAreAnError) {
  Apply(Spec(kWeb));
  v1::EventsRequest request;
  request.set_app("wbe");
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  const auto stream = admin_->Events(&context, request);
  v1::Event event;
  EXPECT_FALSE(stream->Read(&event));
  const grpc::Status status = stream->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(status.error_message(), "no app wbe; there are: web");
  // Those of one that is gone are still told.
  v1::ChangeResponse response;
  EXPECT_TRUE(Call(&v1::Admin::Stub::Remove, v1::AppRequest(), &response).ok());
  request.set_app("web");
  EXPECT_THAT(Events(request), ::testing::Not(::testing::IsEmpty()));
}

TEST_F(AdminChangesTest, EventsAreBoundedByAge) {
  StopController();
  const int64_t now = absl::ToUnixMillis(absl::Now());
  {
    auto store = SqliteStore::Open(dir_.File("pando.db"));
    ASSERT_TRUE(store.ok()) << store.status();
    v1::EventRecord event;
    event.set_kind("old");
    event.set_sequence(1);
    event.set_time_unix_ms(now - kMaxEventAgeMs - 60'000);
    ASSERT_TRUE((*store)->Commit({}, ToStoreWrites(event)).ok());
    event.set_kind("young");
    event.set_sequence(2);
    event.set_time_unix_ms(now - kMaxEventAgeMs + 3'600'000);
    ASSERT_TRUE((*store)->Commit({}, ToStoreWrites(event)).ok());
  }
  StartController();
  EXPECT_THAT(Events(), ElementsAre("young: "));
  v1::EventsRequest request;
  request.set_since_unix_ms(now - 1'000'000);
  EXPECT_THAT(Events(request), ::testing::IsEmpty());
  StopController();
  {
    auto store = SqliteStore::Open(dir_.File("pando.db"));
    ASSERT_TRUE(store.ok()) << store.status();
    const auto events = LoadEvents(**store, 0);
    ASSERT_TRUE(events.ok()) << events.status();
    ASSERT_EQ(events->size(), 1u);
    EXPECT_EQ(events->front().kind(), "young");
  }
  StartController();
}

TEST_F(AdminChangesTest, TheTimelineSaysWhoDidWhat) {
  Apply(Spec(kWeb));
  Apply(Spec("kind: Gateway\nport: 81\n"));
  Scale(ScaleBy(+1, "r"));
  v1::AppRequest request;
  request.mutable_options()->set_by("eve@desk");
  v1::ChangeResponse response;
  EXPECT_TRUE(Call(&v1::Admin::Stub::Stop, request, &response).ok());
  v1::RebalanceRequest rebalance;
  rebalance.mutable_options()->set_by("eve@desk");
  v1::RebalanceResponse moves;
  EXPECT_TRUE(Call(&v1::Admin::Stub::Rebalance, rebalance, &moves).ok());
  const std::vector<std::string> events = Events();
  EXPECT_THAT(events, ::testing::IsSupersetOf<::testing::Matcher<std::string>>(
                          {EndsWith("replicas 2 (spec), by ana@laptop"),
                           EndsWith("default changed, 0.0.0.0:81, by ana@laptop"),
                           EndsWith("replicas 2 -> 3, by bob@ci"),
                           ::testing::StrEq("rebalance: 0 instances to move, by eve@desk"),
                           ::testing::StrEq("stopped: by eve@desk")}));
}

}  // namespace
}  // namespace pando::controller
