#include "driver/uart.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "tests/deploy/standin/board.h"

namespace {

/// The board's end of the line, and the other, kept open so that it outlives whoever uses it.
int board_end = -1, other_end = -1;

}  // namespace

esp_err_t uart_driver_install(uart_port_t, int, int, int, void*, int) {
  board_end = posix_openpt(O_RDWR | O_NOCTTY);
  if (board_end < 0 || grantpt(board_end) != 0 || unlockpt(board_end) != 0) return ESP_FAIL;
  other_end = open(ptsname(board_end), O_RDWR | O_NOCTTY);
  termios settings{};
  if (tcgetattr(other_end, &settings) != 0) return ESP_FAIL;
  cfmakeraw(&settings);
  if (tcsetattr(other_end, TCSANOW, &settings) != 0) return ESP_FAIL;
  printf("port %s\n", ptsname(board_end));
  return ESP_OK;
}

esp_err_t uart_param_config(uart_port_t, const uart_config_t* config) {
  return config->baud_rate > 0 ? ESP_OK : ESP_FAIL;
}

int uart_read_bytes(uart_port_t, void* data, uint32_t size, TickType_t) {
  return static_cast<int>(read(board_end, data, size));
}

int uart_write_bytes(uart_port_t, const void* data, size_t size) {
  static size_t written = 0;
  const auto* bytes = static_cast<const unsigned char*>(data);
  std::vector<unsigned char> sent(bytes, bytes + size);
  if (const std::string damage = espquant::test::standin::setting("STANDIN_DAMAGE");
      !damage.empty()) {
    const size_t at = std::stoul(damage);
    if (at >= written && at < written + size) sent[at - written] ^= 16;
  }
  written += size;
  size_t done = 0;
  while (done < size) {
    const ssize_t count = write(board_end, sent.data() + done, size - done);
    if (count <= 0) return -1;
    done += static_cast<size_t>(count);
  }
  return static_cast<int>(size);
}

esp_err_t uart_get_buffered_data_len(uart_port_t, size_t* size) {
  int waiting = 0;
  if (ioctl(board_end, FIONREAD, &waiting) != 0) return ESP_FAIL;
  *size = static_cast<size_t>(waiting);
  return ESP_OK;
}
