#pragma once

#include <span>

#include "base/embedded_text.h"

namespace espquant::page {

/// web/dist/page.html, in which the places of title and data are marked.
std::span<const EmbeddedText> embedded_web();

}  // namespace espquant::page
