#pragma once

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "search/database.h"
#include "search/work.h"

namespace espquant::search {

/// What the outcomes of a journal were measured on, by name: hashes of network and data, chip,
/// release, version of the program. Outcomes of one are worth nothing for another.
using Identity = std::vector<std::pair<std::string, std::string>>;

/// A row of a journal.
struct Entry {
  /// In the order in which they were asked for.
  std::int64_t number = 0;
  std::string key;
  Work work;
  Outcome outcome;
};

/// All outcomes of a search, each on the disk the moment it is known, in one SQLite file. Several
/// processes, on one machine or in a shared folder, may use it at a time: who measures a thing
/// claims it before, and the claim of a process that has died is void.
///
/// Throws Error as Database does.
class Journal {
 public:
  /// Begins one. Throws Error(Usage) where there is one already.
  static Journal begin(const std::filesystem::path& path, const Identity& identity);
  /// Goes on with one. A damaged one is left behind, as PATH.damaged, and what of it is whole is
  /// taken over into a new one; `damage` says so. Throws Error(Usage) where it was made by another
  /// version or from other inputs, and says which.
  static Journal go_on(const std::filesystem::path& path, const Identity& identity,
                       std::optional<std::string>& damage);
  /// Goes on with one beside the process that leads. Throws as go_on(), Error(Malformed) for a
  /// damaged one.
  static Journal join(const std::filesystem::path& path, const Identity& identity);
  /// Only reads, whatever it was made from.
  static std::vector<Entry> read(const std::filesystem::path& path);
  /// The note "command" of a search that is led now; nothing where there is none yet.
  static std::optional<std::string> command_in(const std::filesystem::path& path);

  std::optional<Outcome> find(const std::string& key);
  std::size_t size();

  enum class Claim : std::uint8_t {
    Mine,   ///< to be measured here
    Known,  ///< there is an outcome
    Taken,  ///< another living process measures it
  };
  /// `number`: the place of the work in the search's order.
  Claim claim(const Work& work, std::int64_t number);
  void finish(const std::string& key, const Outcome& outcome);
  /// Gives a claim back.
  void release(const std::string& key);

  /// Names this process as the one that leads the search; false where another living one does.
  bool lead();
  /// Whether the process that leads lives, and has not ended the search.
  bool is_led();
  /// Ends it for all who have joined.
  void end();

  /// For those who join.
  void set_note(std::string_view name, std::string_view text);
  std::string note(std::string_view name);

 private:
  Journal(const std::filesystem::path& path, Database::Access access, const Identity& identity);
  bool is_alive(const std::string& owner, std::int64_t beat);
  bool is_alive(const std::string& owner);

  Database database_;
  /// Digest of the identity.
  std::string inputs_, owner_;
  /// By owner: the last beat that was seen, and when, by this process's own clock.
  struct Seen {
    std::string owner;
    std::int64_t beat = 0;
    std::int64_t at_ms = 0;
  };
  std::vector<Seen> seen_;
};

/// As long as this object lives, processes of other machines see that this one does.
class Heartbeat {
 public:
  explicit Heartbeat(const std::filesystem::path& journal);
  ~Heartbeat();
  Heartbeat(const Heartbeat&) = delete;
  Heartbeat& operator=(const Heartbeat&) = delete;

 private:
  void beat(const std::filesystem::path& journal);

  std::mutex mutex_;
  std::condition_variable ends_;
  bool ended_ = false;
  std::thread thread_;
};

}  // namespace espquant::search
