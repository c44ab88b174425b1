#include "cli/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>
#include <string_view>

#include "report/page.h"

namespace espquant::cli {

std::size_t columns_of_output() {
  constexpr std::size_t kLeast = 40, kUsual = 80;
  if (isatty(STDOUT_FILENO) != 1) return report::kUnlimited;
  std::size_t columns = 0;
  if (const char* wish = std::getenv("COLUMNS")) {
    const std::string_view digits = wish;
    std::from_chars(digits.data(), digits.data() + digits.size(), columns);
  }
  winsize size{};
  if (columns == 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
  if (columns == 0) columns = kUsual;
  return columns < kLeast ? kLeast : columns;
}

bool shows_progress() {
  const char* kind = std::getenv("TERM");
  const bool erases = kind == nullptr || std::string_view(kind) != "dumb";
  return erases && isatty(STDERR_FILENO) == 1;
}

}  // namespace espquant::cli
