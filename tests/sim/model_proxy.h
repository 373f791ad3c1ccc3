// A proxy as the controller knows it: it applies the tables it is sent, acknowledges what it runs,
// sends requests by its table, holds them for a while, and tells when a draining endpoint is empty.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "controller/core/mass_loss.h"
#include "controller/core/model.h"
#include "tests/sim/link.h"

namespace pando::sim {

class World;

using controller::Endpoint;
using controller::UpstreamTable;

class ModelProxy {
 public:
  ModelProxy(World& world, std::string name, bool reports_drains);

  // ---- faults ----
  void BreakTables();   // the stream tables come on
  void BreakReports();  // the stream reports go on
  void Restart();       // requests in flight are gone, the tables are as last saved
  void CutOff(bool cut);

  // ---- called by the controller's side of the links ----
  void TakeTables(std::vector<UpstreamTable> tables);
  void DropTable(const AppId& app);

  void Welcomed() { lost_tables_ = false; }

  // The process of an assignment ended: what was in flight to it failed.
  void Reset(const AssignmentId& id);

  const ProxyId& id() const { return id_; }
  bool reports_drains() const { return reports_drains_; }
  const std::map<AppId, UpstreamTable>& tables() const { return tables_; }
  // Was restarted with tables older than those it acknowledged, and the controller does not know.
  bool lost_tables() const { return lost_tables_; }
  bool MayPick(const AssignmentId& id) const;
  uint64_t InFlight(const AssignmentId& id) const;

 private:
  void ConnectTables();
  void ConnectReports();
  void ConnectLater();
  void Switch(std::function<void(const std::shared_ptr<Link>&)> done);
  void SaveSoon();
  void SendRequests();
  void Request(const UpstreamTable& table);
  void ReportAll(std::shared_ptr<Link> link);
  void ReportOne(const Endpoint& endpoint);
  void ReportIfEmpty(const AssignmentId& id);

  World& world_;
  const ProxyId id_;
  const bool reports_drains_;
  std::map<AppId, UpstreamTable> tables_;
  std::map<AppId, UpstreamTable> saved_;  // on disk
  bool save_scheduled_ = false;
  bool lost_tables_ = false;
  std::map<AssignmentId, uint64_t> in_flight_;
  std::map<AssignmentId, controller::Reach> reach_;  // what it saw itself
  std::map<AssignmentId, uint64_t> epoch_;           // grows when what is in flight is reset
  uint64_t life_ = 1;
  Instant next_switch_{};
  std::shared_ptr<Link> tables_link_;
  std::shared_ptr<Link> reports_link_;
  bool cut_off_ = false;
  bool connecting_ = false;
};

}  // namespace pando::sim
