#include "ctl/views.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "ctl/json.h"

namespace pando::ctl {
namespace {

v1::ClusterView Example() {
  v1::ClusterView view;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(
      R"pb(
        apps {
          name: "web"
          revision: 3
          replicas: 4
          generation: 9
          placed: 4
          ready: 4
          available: 4
          draining: 1
          proxies_live: 2
          proxies_acked: 2
          rollout: COMPLETE
          settled: true
          hosts: "*"
          path: "/"
        }
        apps {
          name: "api"
          revision: 1
          replicas: 8
          generation: 2
          placed: 6
          ready: 6
          available: 5
          proxies_live: 2
          proxies_acked: 1
          rollout: PROGRESSING
          pending_reason: "no node has room"
          hosts: "api.example.com"
          hosts: "api"
          path: "/v1"
        }
        instances {
          app: "web"
          name: "web.1"
          assignment_id: "web.1-k7"
          slot: 1
          revision: 3
          node: "node-1"
          address: "10.0.0.4:20013"
          state: "in-rotation"
          restarts: 2
          started_unix_ms: 1000000
          pid: 4242
          in_flight: 7
        }
        instances {
          app: "web"
          name: "web.2"
          slot: 2
          revision: 3
          state: "pending"
          detail: "no node has room"
        }
        nodes {
          name: "node-1"
          state: "ready"
          address: "10.0.0.4"
          instances: 1
          max_instances: 100
          cpu_millis: 4000
          cpu_millis_used: 500
          memory_bytes: 8589934592
          memory_bytes_used: 0
          heartbeat_age_ms: 420
          version: "0.1.0"
          labels { key: "zone" value: "a" }
          labels { key: "disk" value: "ssd" }
        }
        nodes { name: "node-2" state: "lost" cordoned: true heartbeat_age_ms: 61000 }
        proxies {
          id: "edge-1"
          state: "synced"
          version: "0.1.0"
          apps_acked: 2
          apps_total: 2
          last_ack_age_ms: 90
          in_flight: 7
        }
        proxies {
          id: "edge-2"
          state: "syncing"
          apps_acked: 1
          apps_total: 2
          last_ack_age_ms: -1
          nack: "listener default: address already in use"
        }
        gateways { name: "default" address: "0.0.0.0" port: 8080 }
        term: 3
        now_unix_ms: 1240000
      )pb",
      &view));
  return view;
}

TEST(ViewsTest, Status) {
  EXPECT_EQ(ScreenText(Screen::kStatus, Example(), {}),
            "nodes 1/2 ready   proxies 1/2 synced   gateway default 0.0.0.0:8080\n"
            "\n"
            "APP  REV  REPLICAS  READY  IN ROTATION  STATE    ROUTE                    DETAIL\n"
            "web  r3   4         4/4    4/4          running  * /                      1 draining\n"
            "api  r1   8         6/8    5/8          pending  api.example.com,api /v1  no node has "
            "room\n");
}

TEST(ViewsTest, StatusIsLoudWhenFrozenOrRecovering) {
  v1::ClusterView view;
  view.set_frozen(true);
  view.set_frozen_reason("2 of 3 nodes and 4 of 9 instances are silent");
  view.set_recovering(true);
  EXPECT_EQ(ScreenText(Screen::kStatus, view, {}),
            "FROZEN: 2 of 3 nodes and 4 of 9 instances are silent. Tables stay as they are and "
            "nothing is replaced until they return, or proxies confirm that they are gone.\n"
            "        See `ctl nodes`; if they are really gone: `ctl unfreeze`\n"
            "RECOVERING: the controller has just started and waits for its agents to report.\n"
            "nodes 0/0 ready   proxies 0/0 synced\n"
            "\n"
            "no app yet; deploy one with: ctl apply -f app.yaml\n");
}

TEST(ViewsTest, StatusNamesTheStateOfAnApp) {
  struct Case {
    std::string fields;
    std::string state;
    std::string detail;
  };
  const Case cases[] = {
      {R"(rollout: FAILED failure: "exited with code 1")", "failed", "exited with code 1"},
      {R"(rollout: ROLLED_BACK rolled_back: 4 failure: "exited with code 1")", "rolled back",
       "r4: exited with code 1"},
      {"rollout: PAUSED", "paused", ""},
      {"waits_for_promote: true step: 1 steps: 3", "waiting", "step 1/3; ctl rollout promote web"},
      {"stopped: true settled: true", "stopped", ""},
      {"stopped: true draining: 1", "stopping", ""},
      {"outdated: 2", "rolling", "2 of older revisions"},
      {"settled: true", "running", ""},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.fields);
    v1::ClusterView view;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(
        "apps { name: 'web' path: '/' " + c.fields + " }", &view));
    const std::string text = ScreenText(Screen::kStatus, view, {});
    EXPECT_NE(text.find("  " + c.state + "  "), std::string::npos) << text;
    EXPECT_NE(text.find(c.detail + "\n"), std::string::npos) << text;
  }
}

TEST(ViewsTest, Instances) {
  EXPECT_EQ(ScreenText(Screen::kInstances, Example(), {}),
            "INSTANCE  NODE    REV  STATE        ADDRESS         RESTARTS  AGE  DETAIL\n"
            "web.1     node-1  r3   in-rotation  10.0.0.4:20013  2         4m\n"
            "web.2     -       r3   pending      -               0         -    no node has "
            "room\n");
  EXPECT_EQ(ScreenText(Screen::kInstances, Example(), {.wide = true}),
            "INSTANCE  NODE    REV  STATE        ADDRESS         RESTARTS  AGE  PID   IN FLIGHT  "
            "ASSIGNMENT  DETAIL\n"
            "web.1     node-1  r3   in-rotation  10.0.0.4:20013  2         4m   4242  7          "
            "web.1-k7\n"
            "web.2     -       r3   pending      -               0         -    -     0          "
            "-           no node has room\n");
  EXPECT_EQ(ScreenText(Screen::kInstances, {}, {}), "no instances\n");
}

TEST(ViewsTest, Nodes) {
  EXPECT_EQ(ScreenText(Screen::kNodes, Example(), {}),
            "NODE    STATE          ADDRESS   INSTANCES  CPU    MEMORY  HEARTBEAT  LABELS\n"
            "node-1  ready          10.0.0.4  1/100      0.5/4  0/8.0G  0.4s       "
            "disk=ssd,zone=a\n"
            "node-2  lost,cordoned  -         0/0        0/0    0/0     1m\n");
}

TEST(ViewsTest, Proxies) {
  EXPECT_EQ(ScreenText(Screen::kProxies, Example(), {}),
            "PROXY   STATE    TABLES ACKED  LAST ACK  IN FLIGHT  VERSION  REFUSED\n"
            "edge-1  synced   2/2           0.1s      7          0.1.0\n"
            "edge-2  syncing  1/2           -         0          -        listener default: "
            "address already in use\n");
}

TEST(ViewsTest, ColorDoesNotMoveColumns) {
  std::string colored = ScreenText(Screen::kProxies, Example(), {.color = true});
  EXPECT_NE(colored.find("\x1b[32msynced\x1b[0m"), std::string::npos);
  for (size_t at; (at = colored.find('\x1b')) != std::string::npos;) {
    colored.erase(at, colored.find('m', at) - at + 1);
  }
  EXPECT_EQ(colored, ScreenText(Screen::kProxies, Example(), {}));
}

TEST(ViewsTest, NamesOnly) {
  EXPECT_EQ(ScreenNames(Screen::kStatus, Example()), "web\napi\n");
  EXPECT_EQ(ScreenNames(Screen::kInstances, Example()), "web.1\nweb.2\n");
  EXPECT_EQ(ScreenNames(Screen::kNodes, Example()), "node-1\nnode-2\n");
  EXPECT_EQ(ScreenNames(Screen::kProxies, Example()), "edge-1\nedge-2\n");
}

TEST(ViewsTest, DocumentsHaveAllFieldsAlsoThoseAtTheirDefault) {
  v1::ClusterView view;
  view.add_proxies()->set_id("edge-1");
  EXPECT_EQ(ScreenJson(Screen::kProxies, view),
            R"({"proxies":[{"id":"edge-1","state":"","version":"","apps_acked":0,)"
            R"("apps_total":0,"last_ack_age_ms":"0","nack":"","in_flight":"0"}]})");
  EXPECT_EQ(ScreenJson(Screen::kInstances, view), R"({"instances":[]})");
  EXPECT_EQ(ScreenJson(Screen::kStatus, view),
            R"({"cluster":{"frozen":false,"recovering":false,"term":0,"nodes":0,"proxies":1},)"
            R"("apps":[],"gateways":[]})");
}

TEST(JsonTest, IndentsWithoutTouchingStrings) {
  EXPECT_EQ(IndentJson(R"({"a":"x,{}:\"y","b":[1,2],"c":[],"d":{}})"),
            "{\n"
            "  \"a\": \"x,{}:\\\"y\",\n"
            "  \"b\": [\n"
            "    1,\n"
            "    2\n"
            "  ],\n"
            "  \"c\": [],\n"
            "  \"d\": {}\n"
            "}");
}

TEST(JsonTest, StringsAreEscapedOnlyWhereNeeded) {
  EXPECT_EQ(JsonString("2 -> 8"), "\"2 -> 8\"");
  EXPECT_EQ(JsonString("a\"b\\c\n\x01"), R"("a\"b\\c\u000a\u0001")");
}

TEST(JsonTest, YamlKeepsStringsStrings) {
  EXPECT_EQ(JsonToYaml(R"({"apps":[{"name":"web","n":4,"id":"12","yes":"true","none":"",)"
                       R"("empty":[],"gone":null,"ok":true,"msg":"a: b"}]})"),
            "apps:\n"
            "  - name: web\n"
            "    n: 4\n"
            "    id: \"12\"\n"
            "    yes: \"true\"\n"
            "    none: \"\"\n"
            "    empty: []\n"
            "    gone: ~\n"
            "    ok: true\n"
            "    msg: \"a: b\"\n");
}

}  // namespace
}  // namespace pando::ctl
