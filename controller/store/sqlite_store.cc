#include "controller/store/sqlite_store.h"

#include <sqlite3.h>

#include <optional>
#include <string_view>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "controller/store/keys.h"

namespace pando::controller {
namespace {

constexpr int kBusyTimeoutMs = 5'000;

// Keys are BLOBs: compared byte by byte, whatever bytes they hold.
constexpr char kSchema[] = R"sql(
  CREATE TABLE meta (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    schema_version INTEGER NOT NULL,
    revision INTEGER NOT NULL
  );
  CREATE TABLE kv (
    key BLOB PRIMARY KEY,
    value BLOB NOT NULL,
    revision INTEGER NOT NULL
  ) WITHOUT ROWID;
)sql";

struct StatementCloser {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

struct ConnectionCloser {
  void operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }
};

// One use of a prepared statement; gives it back clean for the next one.
class Query {
 public:
  explicit Query(sqlite3_stmt* statement) : statement_(statement) {}
  ~Query() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
  }
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  // The bytes must outlive the query.
  Query& Bind(int index, std::string_view bytes) {
    // A null pointer would bind NULL, not an empty BLOB.
    sqlite3_bind_blob64(statement_, index, bytes.empty() ? "" : bytes.data(), bytes.size(),
                        SQLITE_STATIC);
    return *this;
  }
  Query& Bind(int index, int64_t value) {
    sqlite3_bind_int64(statement_, index, value);
    return *this;
  }
  // SQLITE_ROW, SQLITE_DONE or an error.
  int Step() { return sqlite3_step(statement_); }

  int64_t Integer(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string Bytes(int column) const {
    const void* data = sqlite3_column_blob(statement_, column);
    const int size = sqlite3_column_bytes(statement_, column);
    return size == 0 ? std::string() : std::string(static_cast<const char*>(data), size);
  }

 private:
  sqlite3_stmt* statement_;
};

StoreEntry ReadEntry(const Query& query) {
  return {query.Bytes(0), query.Bytes(1), query.Integer(2)};
}

}  // namespace

// The connection, its prepared statements and the meaning of its error codes.
class SqliteStore::Database {
 public:
  explicit Database(std::string path) : path_(std::move(path)) {}

  absl::Status Open() {
    sqlite3* raw = nullptr;
    const int code =
        sqlite3_open_v2(path_.c_str(), &raw,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    connection_.reset(raw);
    if (raw == nullptr) return absl::ResourceExhaustedError("out of memory");
    sqlite3_extended_result_codes(raw, 1);
    if (code != SQLITE_OK) return Error(code);
    sqlite3_busy_timeout(raw, kBusyTimeoutMs);
    // auto_vacuum only takes effect before the first table is made.
    PANDO_RETURN_IF_ERROR(Run("PRAGMA auto_vacuum = INCREMENTAL"));
    PANDO_RETURN_IF_ERROR(Run("PRAGMA journal_mode = WAL"));
    PANDO_RETURN_IF_ERROR(Run("PRAGMA synchronous = FULL"));
    PANDO_RETURN_IF_ERROR(CheckIntegrity());
    PANDO_RETURN_IF_ERROR(EnsureSchema());
    return PrepareAll();
  }

  absl::Status Run(const char* sql) {
    const int code = sqlite3_exec(connection_.get(), sql, nullptr, nullptr, nullptr);
    return code == SQLITE_OK ? absl::OkStatus() : Error(code);
  }

  // Nothing that was committed depends on it, so a failure is left to the next time.
  void Maintain() {
    sqlite3_exec(connection_.get(), "PRAGMA incremental_vacuum", nullptr, nullptr, nullptr);
    sqlite3_wal_checkpoint_v2(connection_.get(), nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr,
                              nullptr);
  }

  absl::Status Error(int code) const {
    const std::string text = absl::StrCat(
        path_, ": ", connection_ ? sqlite3_errmsg(connection_.get()) : sqlite3_errstr(code));
    switch (code & 0xff) {
      case SQLITE_CORRUPT:
      case SQLITE_NOTADB:
        return absl::DataLossError(
            absl::StrCat(text, " (restore the file from a backup, or move it away to start anew)"));
      case SQLITE_CANTOPEN:
      case SQLITE_READONLY:
      case SQLITE_PERM:
      case SQLITE_AUTH:
        return absl::PermissionDeniedError(
            absl::StrCat(text, " (the file and its directory must be writable)"));
      case SQLITE_FULL:
        return absl::UnavailableError(absl::StrCat(text, " (free some disk space)"));
      default:
        return absl::UnavailableError(text);
    }
  }

  sqlite3_stmt* get() const { return get_.get(); }
  sqlite3_stmt* put() const { return put_.get(); }
  sqlite3_stmt* remove() const { return remove_.get(); }
  sqlite3_stmt* next_revision() const { return next_revision_.get(); }
  sqlite3_stmt* range(bool reverse) const { return reverse ? descending_.get() : ascending_.get(); }

 private:
  using Statement = std::unique_ptr<sqlite3_stmt, StatementCloser>;

  absl::StatusOr<Statement> Prepare(const char* sql) {
    sqlite3_stmt* raw = nullptr;
    const int code =
        sqlite3_prepare_v3(connection_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr);
    if (code != SQLITE_OK) return Error(code);
    return Statement(raw);
  }

  absl::Status CheckIntegrity() {
    PANDO_ASSIGN_OR_RETURN(const Statement statement, Prepare("PRAGMA quick_check(1)"));
    Query query(statement.get());
    const int code = query.Step();
    if (code != SQLITE_ROW) return Error(code);
    const std::string verdict = query.Bytes(0);
    if (verdict == "ok") return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(path_, " is damaged: ", verdict,
                                            " (restore the file from a backup, or move it away "
                                            "to start anew)"));
  }

  absl::Status EnsureSchema() {
    PANDO_ASSIGN_OR_RETURN(const int64_t tables, Integer("SELECT count(*) FROM sqlite_master"));
    if (tables == 0) {
      PANDO_RETURN_IF_ERROR(Run("BEGIN IMMEDIATE"));
      PANDO_RETURN_IF_ERROR(Run(kSchema));
      PANDO_RETURN_IF_ERROR(
          Run(absl::StrCat("INSERT INTO meta VALUES (1, ", kSchemaVersion, ", 0)").c_str()));
      return Run("COMMIT");
    }
    PANDO_ASSIGN_OR_RETURN(
        const int64_t ours,
        Integer("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'meta'"));
    if (ours == 0) {
      return absl::DataLossError(
          absl::StrCat(path_, " is the database of another program (choose another file)"));
    }
    PANDO_ASSIGN_OR_RETURN(const int64_t version,
                           Integer("SELECT schema_version FROM meta WHERE id = 1"));
    if (version > kSchemaVersion) {
      return absl::FailedPreconditionError(
          absl::StrCat(path_, " was written by a newer version of this program (schema ", version,
                       "; this one knows ", kSchemaVersion, "): install that version"));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<int64_t> Integer(const char* sql) {
    PANDO_ASSIGN_OR_RETURN(const Statement statement, Prepare(sql));
    Query query(statement.get());
    const int code = query.Step();
    if (code == SQLITE_DONE)
      return absl::DataLossError(absl::StrCat(path_, ": no answer to ", sql));
    if (code != SQLITE_ROW) return Error(code);
    return query.Integer(0);
  }

  absl::Status PrepareAll() {
    struct Named {
      Statement& statement;
      const char* sql;
    };
    // The range's upper bound is left out when it is NULL.
    const Named all[] = {
        {get_, "SELECT key, value, revision FROM kv WHERE key = ?1"},
        {put_, "INSERT OR REPLACE INTO kv VALUES (?1, ?2, ?3)"},
        {remove_, "DELETE FROM kv WHERE key = ?1"},
        {next_revision_, "UPDATE meta SET revision = revision + 1 WHERE id = 1 RETURNING revision"},
        {ascending_,
         "SELECT key, value, revision FROM kv WHERE key >= ?1 AND (?2 IS NULL OR key < ?2) "
         "ORDER BY key LIMIT ?3"},
        {descending_,
         "SELECT key, value, revision FROM kv WHERE key >= ?1 AND (?2 IS NULL OR key < ?2) "
         "ORDER BY key DESC LIMIT ?3"},
    };
    for (const Named& named : all) {
      PANDO_ASSIGN_OR_RETURN(named.statement, Prepare(named.sql));
    }
    return absl::OkStatus();
  }

  const std::string path_;
  std::unique_ptr<sqlite3, ConnectionCloser> connection_;
  Statement get_, put_, remove_, next_revision_, ascending_, descending_;
};

absl::StatusOr<std::unique_ptr<SqliteStore>> SqliteStore::Open(const std::string& path) {
  auto database = std::make_unique<Database>(path);
  PANDO_RETURN_IF_ERROR(database->Open());
  return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(database)));
}

SqliteStore::SqliteStore(std::unique_ptr<Database> database) : database_(std::move(database)) {}

SqliteStore::~SqliteStore() = default;

absl::StatusOr<int64_t> SqliteStore::Commit(const std::vector<StoreCondition>& conditions,
                                            const std::vector<StoreWrite>& writes) {
  PANDO_RETURN_IF_ERROR(database_->Run("BEGIN IMMEDIATE"));
  absl::StatusOr<int64_t> revision = CommitInTransaction(conditions, writes);
  if (revision.ok()) {
    if (absl::Status status = database_->Run("COMMIT"); !status.ok()) revision = status;
  }
  if (!revision.ok()) {
    // SQLite may have rolled back by itself; then this does nothing.
    database_->Run("ROLLBACK").IgnoreError();
    return revision;
  }
  if (++commits_since_maintenance_ >= kMaintenanceInterval) {
    commits_since_maintenance_ = 0;
    database_->Maintain();
  }
  return revision;
}

absl::StatusOr<int64_t> SqliteStore::CommitInTransaction(
    const std::vector<StoreCondition>& conditions, const std::vector<StoreWrite>& writes) {
  for (const StoreCondition& condition : conditions) {
    absl::StatusOr<StoreEntry> entry = Get(condition.key);
    if (!entry.ok() && !absl::IsNotFound(entry.status())) return entry.status();
    PANDO_RETURN_IF_ERROR(CheckRevision(condition, entry.ok() ? entry->revision : 0));
  }
  int64_t revision = 0;
  {
    Query query(database_->next_revision());
    if (const int code = query.Step(); code != SQLITE_ROW) return database_->Error(code);
    revision = query.Integer(0);
    if (const int code = query.Step(); code != SQLITE_DONE) return database_->Error(code);
  }
  for (const StoreWrite& write : writes) {
    int code = SQLITE_DONE;
    if (const auto* put = std::get_if<StorePut>(&write)) {
      Query query(database_->put());
      code = query.Bind(1, put->key).Bind(2, put->value).Bind(3, revision).Step();
    } else {
      Query query(database_->remove());
      code = query.Bind(1, std::get<StoreDelete>(write).key).Step();
    }
    if (code != SQLITE_DONE) return database_->Error(code);
  }
  return revision;
}

absl::StatusOr<StoreEntry> SqliteStore::Get(const std::string& key) {
  Query query(database_->get());
  const int code = query.Bind(1, key).Step();
  if (code == SQLITE_DONE) return absl::NotFoundError(absl::StrCat("no key ", key));
  if (code != SQLITE_ROW) return database_->Error(code);
  return ReadEntry(query);
}

absl::StatusOr<std::vector<StoreEntry>> SqliteStore::Range(const std::string& prefix, size_t limit,
                                                           bool reverse) {
  const std::optional<std::string> end = PrefixEnd(prefix);
  Query query(database_->range(reverse));
  query.Bind(1, prefix);
  if (end) query.Bind(2, *end);
  query.Bind(3, limit == 0 ? int64_t{-1} : static_cast<int64_t>(limit));
  std::vector<StoreEntry> entries;
  int code = query.Step();
  for (; code == SQLITE_ROW; code = query.Step()) entries.push_back(ReadEntry(query));
  if (code != SQLITE_DONE) return database_->Error(code);
  return entries;
}

}  // namespace pando::controller
