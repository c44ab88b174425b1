#include "search/database.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include "base/error.h"

namespace espquant::search {
namespace {

constexpr int kPatienceMs = 30000;

}  // namespace

void Database::Close::operator()(sqlite3* handle) const { sqlite3_close(handle); }
void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Database::Database(const std::filesystem::path& path, Access access) : path_(path) {
  const int flags = access == Access::Read    ? SQLITE_OPEN_READONLY
                    : access == Access::Write ? SQLITE_OPEN_READWRITE
                                              : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  sqlite3* opened = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &opened, flags, nullptr);
  handle_.reset(opened);
  if (code != SQLITE_OK) fail(code);
  sqlite3_extended_result_codes(handle(), 1);
  sqlite3_busy_timeout(handle(), kPatienceMs);
  run("PRAGMA trusted_schema = OFF");
  if (access == Access::Read) return;
  run("PRAGMA journal_mode = DELETE");
  run("PRAGMA synchronous = FULL");
}

void Database::fail(int code) const {
  // Of the system, where it is one of the disk's.
  const int kind = code & 0xff;
  const std::string reason = handle() != nullptr ? sqlite3_errmsg(handle()) : sqlite3_errstr(code);
  switch (kind) {
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      throw Error(ErrorCode::Malformed, fmt::format("the journal is damaged: {}", reason))
          .file(path_.string());
    case SQLITE_FULL:
      throw Error(ErrorCode::Io, "cannot write the journal: the disk is full")
          .file(path_.string())
          .remedy("What was measured is kept: make room, and go on with --resume");
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      throw Error(ErrorCode::Io, "another process holds the journal").file(path_.string());
    case SQLITE_NOMEM:
      throw std::bad_alloc();
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
      throw Error(ErrorCode::Io, fmt::format("cannot use the journal: {}", reason))
          .file(path_.string());
    default:
      throw Error(ErrorCode::Internal, fmt::format("the journal: {} ({})", reason, code))
          .file(path_.string());
  }
}

void Database::run(const char* sql) {
  const int code = sqlite3_exec(handle(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(code);
}

std::int64_t Database::changes() const { return sqlite3_changes64(handle()); }

std::optional<std::string> Database::damage() try {
  Statement check(*this, "PRAGMA integrity_check(1)");
  if (!check.next()) return "it cannot be checked";
  const std::string found = check.text(0);
  if (found == "ok") return std::nullopt;
  return found;
} catch (const Error& error) {
  if (error.code() != ErrorCode::Malformed) throw;
  return error.message();
}

Statement::Statement(Database& database, std::string_view sql) : database_(database) {
  sqlite3_stmt* made = nullptr;
  const int code = sqlite3_prepare_v2(database.handle(), sql.data(), static_cast<int>(sql.size()),
                                      &made, nullptr);
  statement_.reset(made);
  if (code != SQLITE_OK) database.fail(code);
}

Statement& Statement::bind(int parameter, std::string_view text) {
  const int code = sqlite3_bind_text(statement_.get(), parameter, text.data(),
                                     static_cast<int>(text.size()), SQLITE_TRANSIENT);
  if (code != SQLITE_OK) database_.fail(code);
  return *this;
}

Statement& Statement::bind(int parameter, std::int64_t number) {
  const int code = sqlite3_bind_int64(statement_.get(), parameter, number);
  if (code != SQLITE_OK) database_.fail(code);
  return *this;
}

Statement& Statement::bind(int parameter, double number) {
  const int code = sqlite3_bind_double(statement_.get(), parameter, number);
  if (code != SQLITE_OK) database_.fail(code);
  return *this;
}

bool Statement::next() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) database_.fail(code);
  return false;
}

void Statement::run() {
  while (next()) {
  }
}

std::string Statement::text(int column) const {
  const auto* text = sqlite3_column_text(statement_.get(), column);
  if (text == nullptr) return {};
  return {reinterpret_cast<const char*>(text),
          static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

std::int64_t Statement::number(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

double Statement::real(int column) const { return sqlite3_column_double(statement_.get(), column); }

Transaction::Transaction(Database& database) : database_(database) {
  database_.run("BEGIN IMMEDIATE");
}

Transaction::~Transaction() {
  if (!open_) return;
  // Where that fails, SQLite has rolled back by itself.
  sqlite3_exec(database_.handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() {
  database_.run("COMMIT");
  open_ = false;
}

}  // namespace espquant::search
