#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct sqlite3;
struct sqlite3_stmt;

/// SQLite's C interface as objects.
namespace espquant::search {

class Database;

/// A statement with its parameters, counted from 1, and rows, whose columns count from 0.
class Statement {
 public:
  Statement(Database& database, std::string_view sql);
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  Statement& bind(int parameter, std::string_view text);
  Statement& bind(int parameter, std::int64_t number);
  Statement& bind(int parameter, double number);
  /// Whether there is another row. Throws Error as Database says.
  bool next();
  /// Runs it to its end.
  void run();

  std::string text(int column) const;
  std::int64_t number(int column) const;
  double real(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

/// A database in one file, in SQLite's rollback mode: unlike its write-ahead log that needs no
/// memory shared by all processes, so that the file may lie in a folder which several machines
/// share. What is committed is on the disk. Waits for other processes for half a minute.
///
/// Throws Error(Malformed) for a damaged file or one that is no database, Error(Io) for what the
/// disk refuses or another process holds.
class Database {
 public:
  enum class Access : std::uint8_t { Read, Write, Create };
  Database(const std::filesystem::path& path, Access access);

  void run(const char* sql);
  /// Rows that the last statement changed.
  std::int64_t changes() const;
  /// Nothing where all of the file is as it must be, else what is wrong.
  std::optional<std::string> damage();

  [[noreturn]] void fail(int code) const;
  sqlite3* handle() const { return handle_.get(); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const;
  };
  std::filesystem::path path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

/// Everything between begin and commit() happens or nothing does.
class Transaction {
 public:
  explicit Transaction(Database& database);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
  bool open_ = true;
};

}  // namespace espquant::search
