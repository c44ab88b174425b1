#include "cli/board_options.h"

#include "cli/validators.h"

namespace espquant::cli {

void add_board(CLI::App& command, job::BoardOptions& options) {
  command
      .add_option("--board", options.file,
                  "Times of this board, as espquant latency --fit --out wrote them")
      ->type_name("FILE");
  command
      .add_option("--cores", options.cores,
                  "Cores that run the model: 2 is RUNTIME_MODE_MULTI_CORE (default 1)")
      ->check(one_of({"1", "2"}))
      ->type_name("1|2");
}

}  // namespace espquant::cli
