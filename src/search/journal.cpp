#include "search/journal.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <fstream>
#include <sstream>

#include "base/digest.h"
#include "base/error.h"

namespace espquant::search {
namespace {

namespace fs = std::filesystem;

/// Of the tables below.
constexpr std::string_view kFormat = "1";
/// A process of another machine that has not been heard of for so long has died.
constexpr std::int64_t kSilenceMs = 60000;
constexpr auto kBetweenBeats = std::chrono::seconds(5);

constexpr auto kTables = R"(
CREATE TABLE identity(name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE notes(name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE owners(owner TEXT PRIMARY KEY, beat INTEGER NOT NULL);
CREATE TABLE works(
  key TEXT PRIMARY KEY, number INTEGER NOT NULL, work TEXT NOT NULL,
  owner TEXT NOT NULL,      -- who measures it; empty: nobody
  outcome TEXT NOT NULL,    -- empty: not known yet
  seconds REAL NOT NULL, digest TEXT NOT NULL);
)";

std::int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// When a process began, in ticks since the machine did: with its number, its name for good. Empty
/// where there is no such process.
std::string start_of(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  // The name in brackets may hold anything; the time is the 20th word behind it.
  const std::size_t bracket = text.rfind(')');
  if (bracket == std::string::npos) return {};
  std::istringstream words(text.substr(bracket + 1));
  std::string word;
  constexpr int kStartTime = 20;
  for (int i = 0; i < kStartTime; ++i) words >> word;
  return word;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "?";
  return name.data();
}

/// Host, process, and when that began, with a '/' between.
std::string this_owner() {
  const std::string pid = fmt::to_string(::getpid());
  return fmt::format("{}/{}/{}", host_name(), pid, start_of(pid));
}

std::string digest_of(std::span<const std::string> parts) {
  std::string text;
  for (const std::string& part : parts) text += fmt::format("{} {}\n", part.size(), part);
  return sha256_of(std::as_bytes(std::span(text)));
}

/// Of the inputs of a search.
std::string digest_of(const Identity& identity) {
  std::vector<std::string> parts;
  for (const auto& [name, value] : identity) {
    parts.push_back(name);
    parts.push_back(value);
  }
  return digest_of(parts);
}

/// Of an outcome on these inputs: what verifies belongs to them.
std::string digest_of(const std::string& inputs, const std::string& key, const std::string& work,
                      const std::string& outcome) {
  return digest_of(std::array{inputs, key, work, outcome});
}

constexpr std::string_view kDigest = "digest";

/// With the format, and in the order in which it is stored.
Identity complete(const Identity& identity) {
  Identity all{{"format", std::string(kFormat)}};
  all.insert(all.end(), identity.begin(), identity.end());
  std::sort(all.begin(), all.end());
  return all;
}

/// As it was stored; nothing where that is not what was written.
std::optional<Identity> stored_identity(Database& database) {
  Statement rows(database, "SELECT name, value FROM identity ORDER BY name");
  Identity found;
  std::string digest;
  while (rows.next())
    if (rows.text(0) == kDigest)
      digest = rows.text(1);
    else
      found.emplace_back(rows.text(0), rows.text(1));
  if (digest != digest_of(found)) return std::nullopt;
  return found;
}

/// Throws Error(Usage) where `database` was made from others.
void require_identity(const Identity& found, const Identity& wanted, const fs::path& path) {
  for (const auto& [name, value] : wanted) {
    const auto it = std::find_if(found.begin(), found.end(),
                                 [&](const auto& entry) { return entry.first == name; });
    const std::string was = it == found.end() ? "none" : it->second;
    if (was == value) continue;
    throw Error(ErrorCode::Usage,
                fmt::format("this journal was made with another {}: {}, now {}", name, was, value))
        .file(path.string())
        .remedy("Go on with what it was made with, or begin anew with another --out");
  }
}

/// Every row that is whole, in its order, until the file can be read no further.
struct Salvaged {
  std::vector<std::array<std::string, 4>> rows;  ///< key, work, outcome, digest
  std::vector<std::int64_t> numbers;
  std::vector<double> seconds;
  std::size_t spoilt = 0;
};

Salvaged salvage(Database& database, const std::string& inputs) {
  Salvaged found;
  try {
    Statement rows(database,
                   "SELECT key, work, outcome, digest, number, seconds FROM works "
                   "WHERE outcome <> '' ORDER BY rowid");
    while (rows.next()) {
      if (rows.text(3) != digest_of(inputs, rows.text(0), rows.text(1), rows.text(2))) {
        ++found.spoilt;
        continue;
      }
      found.rows.push_back({rows.text(0), rows.text(1), rows.text(2), rows.text(3)});
      found.numbers.push_back(rows.number(4));
      found.seconds.push_back(rows.real(5));
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::Malformed && error.code() != ErrorCode::Internal) throw;
    ++found.spoilt;
  }
  return found;
}

}  // namespace

Journal::Journal(const fs::path& path, Database::Access access, const Identity& identity)
    : database_(path, access), inputs_(digest_of(identity)), owner_(this_owner()) {}

Journal Journal::begin(const fs::path& path, const Identity& identity) {
  if (fs::exists(path))
    throw Error(ErrorCode::Usage, "there is a search already")
        .file(path.string())
        .remedy("Go on with it by --resume, or begin anew with another --out");
  Identity all = complete(identity);
  Journal journal(path, Database::Access::Create, all);
  Transaction whole(journal.database_);
  journal.database_.run(kTables);
  all.emplace_back(kDigest, journal.inputs_);
  for (const auto& [name, value] : all)
    Statement(journal.database_, "INSERT INTO identity VALUES (?, ?)")
        .bind(1, name)
        .bind(2, value)
        .run();
  whole.commit();
  return journal;
}

Journal Journal::go_on(const fs::path& path, const Identity& identity,
                       std::optional<std::string>& damage) {
  const Identity wanted = complete(identity);
  damage.reset();
  Salvaged kept;
  try {
    Journal journal(path, Database::Access::Write, wanted);
    damage = journal.database_.damage();
    const std::optional<Identity> found = stored_identity(journal.database_);
    if (found) require_identity(*found, wanted, path);
    kept = salvage(journal.database_, journal.inputs_);
    if (!damage && found && kept.spoilt == 0) return journal;
    if (!damage) damage = "some of it is not what was written";
  } catch (const Error& error) {
    // A table that is gone is no fault of ours here.
    if (error.code() != ErrorCode::Malformed && error.code() != ErrorCode::Internal) throw;
    damage = error.message();
  }
  const fs::path aside = path.string() + ".damaged";
  fs::rename(path, aside);
  std::error_code ignored;
  fs::remove(path.string() + "-journal", ignored);
  Journal fresh = begin(path, identity);
  Transaction taken(fresh.database_);
  for (std::size_t i = 0; i < kept.rows.size(); ++i)
    Statement(fresh.database_,
              "INSERT INTO works(key, work, outcome, digest, number, seconds, owner) "
              "VALUES (?, ?, ?, ?, ?, ?, '')")
        .bind(1, kept.rows[i][0])
        .bind(2, kept.rows[i][1])
        .bind(3, kept.rows[i][2])
        .bind(4, kept.rows[i][3])
        .bind(5, kept.numbers[i])
        .bind(6, kept.seconds[i])
        .run();
  taken.commit();
  damage = fmt::format("{}; {} outcomes are whole and were taken over, the file is kept as {}",
                       *damage, kept.rows.size(), aside.filename().string());
  return fresh;
}

Journal Journal::join(const fs::path& path, const Identity& identity) {
  const Identity wanted = complete(identity);
  Journal journal(path, Database::Access::Write, wanted);
  const std::optional<Identity> found = stored_identity(journal.database_);
  if (!found) throw Error(ErrorCode::Malformed, "the journal is damaged").file(path.string());
  require_identity(*found, wanted, path);
  return journal;
}

std::vector<Entry> Journal::read(const fs::path& path) {
  if (!fs::exists(path))
    throw Error(ErrorCode::Usage, "there is no journal of a search").file(path.string());
  Database database(path, Database::Access::Read);
  const auto require = [&](bool whole) {
    if (whole) return;
    throw Error(ErrorCode::Malformed, "the journal is damaged: some of it is not what was written")
        .file(path.string())
        .remedy("tune --resume takes over what is whole, and measures the rest again");
  };
  const std::optional<Identity> identity = stored_identity(database);
  require(identity.has_value());
  const std::string inputs = digest_of(*identity);
  std::vector<Entry> entries;
  Statement rows(database,
                 "SELECT number, key, work, outcome, seconds, digest FROM works "
                 "WHERE outcome <> '' ORDER BY number, key");
  while (rows.next()) {
    const std::string key = rows.text(1), work = rows.text(2), outcome = rows.text(3);
    require(rows.text(5) == digest_of(inputs, key, work, outcome));
    Entry& entry = entries.emplace_back();
    entry.number = rows.number(0);
    entry.key = key;
    entry.work = work_from_json(work);
    entry.outcome = outcome_from_json(outcome);
    entry.outcome.seconds = rows.real(4);
  }
  return entries;
}

std::optional<std::string> Journal::command_in(const fs::path& path) {
  if (!fs::exists(path)) return std::nullopt;
  try {
    Journal journal(path, Database::Access::Read, {});
    std::string command = journal.note("command");
    if (command.empty() || !journal.is_led()) return std::nullopt;
    return command;
  } catch (const Error& error) {
    // One that is being made has no tables yet; one whose process died in a write is led by nobody.
    if (error.code() == ErrorCode::Malformed) throw;
    return std::nullopt;
  }
}

std::optional<Outcome> Journal::find(const std::string& key) {
  Statement row(database_, "SELECT outcome, seconds FROM works WHERE key = ? AND outcome <> ''");
  row.bind(1, key);
  if (!row.next()) return std::nullopt;
  Outcome outcome = outcome_from_json(row.text(0));
  outcome.seconds = row.real(1);
  return outcome;
}

std::size_t Journal::size() {
  Statement row(database_, "SELECT count(*) FROM works WHERE outcome <> ''");
  row.next();
  return static_cast<std::size_t>(row.number(0));
}

bool Journal::is_alive(const std::string& owner, std::int64_t beat) {
  const std::size_t first = owner.find('/'), second = owner.find('/', first + 1);
  if (first == std::string::npos || second == std::string::npos) return false;
  if (owner.substr(0, first) == host_name()) {
    const std::string pid = owner.substr(first + 1, second - first - 1);
    return start_of(pid) == owner.substr(second + 1);
  }
  // Clocks of machines differ: what counts is that nothing has changed for a while on this one.
  const std::int64_t now = now_ms();
  for (Seen& known : seen_) {
    if (known.owner != owner) continue;
    if (known.beat != beat) known = {owner, beat, now};
    return now - known.at_ms < kSilenceMs;
  }
  seen_.push_back({owner, beat, now});
  return true;
}

Journal::Claim Journal::claim(const Work& work, std::int64_t number) {
  const std::string key = work.key();
  Transaction all(database_);
  {
    Statement row(database_,
                  "SELECT works.outcome <> '', works.owner, coalesce(owners.beat, 0) FROM works "
                  "LEFT JOIN owners ON owners.owner = works.owner WHERE key = ?");
    row.bind(1, key);
    if (row.next()) {
      if (row.number(0) != 0) return Claim::Known;
      const std::string owner = row.text(1);
      if (!owner.empty() && owner != owner_ && is_alive(owner, row.number(2))) return Claim::Taken;
    }
  }
  Statement(database_,
            "INSERT INTO works(key, number, work, owner, outcome, seconds, digest) "
            "VALUES (?, ?, ?, ?, '', 0, '') ON CONFLICT(key) DO UPDATE SET owner = excluded.owner")
      .bind(1, key)
      .bind(2, number)
      .bind(3, to_json(work))
      .bind(4, owner_)
      .run();
  all.commit();
  return Claim::Mine;
}

void Journal::finish(const std::string& key, const Outcome& outcome) {
  Transaction all(database_);
  std::string work;
  {
    Statement row(database_, "SELECT work FROM works WHERE key = ?");
    row.bind(1, key);
    ESPQUANT_ASSERT(row.next(), "what is finished was claimed");
    work = row.text(0);
  }
  const std::string text = to_json(outcome);
  Statement(database_,
            "UPDATE works SET outcome = ?, seconds = ?, digest = ?, owner = '' WHERE key = ?")
      .bind(1, text)
      .bind(2, outcome.seconds)
      .bind(3, digest_of(inputs_, key, work, text))
      .bind(4, key)
      .run();
  all.commit();
}

void Journal::release(const std::string& key) {
  Statement(database_, "UPDATE works SET owner = '' WHERE key = ? AND owner = ?")
      .bind(1, key)
      .bind(2, owner_)
      .run();
}

bool Journal::is_alive(const std::string& owner) {
  Statement row(database_, "SELECT beat FROM owners WHERE owner = ?");
  row.bind(1, owner);
  return is_alive(owner, row.next() ? row.number(0) : 0);
}

bool Journal::lead() {
  Transaction all(database_);
  const std::string leader = note("leader");
  if (!leader.empty() && leader != owner_ && is_alive(leader)) return false;
  set_note("leader", owner_);
  all.commit();
  return true;
}

bool Journal::is_led() {
  const std::string leader = note("leader");
  return !leader.empty() && is_alive(leader);
}

void Journal::end() { set_note("leader", ""); }

void Journal::set_note(std::string_view name, std::string_view text) {
  Statement(database_, "INSERT OR REPLACE INTO notes VALUES (?, ?)")
      .bind(1, name)
      .bind(2, text)
      .run();
}

std::string Journal::note(std::string_view name) {
  Statement row(database_, "SELECT value FROM notes WHERE name = ?");
  row.bind(1, name);
  return row.next() ? row.text(0) : std::string();
}

Heartbeat::Heartbeat(const fs::path& journal) : thread_([this, journal] { beat(journal); }) {}

Heartbeat::~Heartbeat() {
  {
    std::lock_guard lock(mutex_);
    ended_ = true;
  }
  ends_.notify_one();
  thread_.join();
}

void Heartbeat::beat(const fs::path& journal) {
  const std::string owner = this_owner();
  std::unique_lock lock(mutex_);
  while (!ends_.wait_for(lock, kBetweenBeats, [&] { return ended_; })) try {
      Database database(journal, Database::Access::Write);
      Statement(database,
                "INSERT INTO owners VALUES (?, 1) ON CONFLICT(owner) DO UPDATE SET beat = beat + 1")
          .bind(1, owner)
          .run();
    } catch (const Error&) {
      // Another beat will come. What is wrong with the journal, whoever writes outcomes will say.
    }
}

}  // namespace espquant::search
