#include "tests/support/source_dir.h"

namespace espquant::test {

// The only place that knows: every other object is the same in every checkout.
std::filesystem::path source_dir() { return ESPQUANT_SOURCE_DIR; }

}  // namespace espquant::test
