#include "base/version.h"

namespace espquant {

std::string_view version() { return ESPQUANT_VERSION; }

}  // namespace espquant
