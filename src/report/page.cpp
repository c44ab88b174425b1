#include "report/page.h"

#include <algorithm>

namespace espquant::report {
namespace {

constexpr std::size_t kWidestProse = 100;
std::size_t width_of_page = kUnlimited;

}  // namespace

std::size_t page_width() { return width_of_page; }
std::size_t prose_width() { return std::min(width_of_page, kWidestProse); }
std::size_t width_behind(std::size_t used) {
  constexpr std::size_t kLeast = 20;
  if (width_of_page == kUnlimited) return kUnlimited;
  return std::max(width_of_page, used + kLeast) - used;
}
void set_page_width(std::size_t characters) { width_of_page = characters; }

}  // namespace espquant::report
