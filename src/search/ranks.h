#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace espquant::search {

/// Processes that were started together and send each other messages.
class Ranks {
 public:
  struct Message {
    int from = 0;
    std::string text;
  };
  virtual ~Ranks() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// `text` is not empty.
  virtual void send(int to, std::string_view text) = 0;
  /// The next message, if there is one already. Those of one rank come in their order.
  virtual std::optional<Message> receive() = 0;
  /// Ends them in peace, all ranks together; without it, the others are ended too.
  virtual void finish() = 0;
};

/// What mpirun (or srun) has started this process with; null where it has not, or alone. Its MPI is
/// in a module beside the program, so that this needs no MPI where nobody uses it. Throws
/// Error(Unsupported) where the module is missing. For the main thread only.
std::unique_ptr<Ranks> launched_ranks();

/// Ranks on this machine; 1 outside of mpirun.
int local_ranks();

}  // namespace espquant::search
