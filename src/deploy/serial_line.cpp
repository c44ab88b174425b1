#include "deploy/serial_line.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace espquant::deploy {
namespace {

constexpr std::array kSpeeds = {
    std::pair{9600, B9600},       std::pair{57600, B57600},     std::pair{115200, B115200},
    std::pair{230400, B230400},   std::pair{460800, B460800},   std::pair{921600, B921600},
    std::pair{1000000, B1000000}, std::pair{2000000, B2000000}, std::pair{3000000, B3000000},
};

speed_t speed_of(int baud) {
  for (const auto& [rate, speed] : kSpeeds)
    if (rate == baud) return speed;
  throw Error(ErrorCode::Usage, fmt::format("no port has {} baud", baud))
      .remedy("As in --baud 921600");
}

Error port_fault(const std::filesystem::path& port) {
  return Error(ErrorCode::Io, std::strerror(errno))
      .file(port.string())
      .remedy("Is the board plugged in, the monitor closed, and are you allowed to use the port?");
}

constexpr int kPatienceMs = 5000;

}  // namespace

SerialLine::SerialLine(const std::filesystem::path& port, int baud) : port_(port) {
  const speed_t speed = speed_of(baud);
  descriptor_ = open(port.c_str(), O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (descriptor_ < 0) throw port_fault(port);
  termios settings{};
  if (tcgetattr(descriptor_, &settings) == 0) {
    cfmakeraw(&settings);
    settings.c_cflag |= CLOCAL | CREAD;
    settings.c_cflag &= ~static_cast<tcflag_t>(CRTSCTS | HUPCL);
    cfsetspeed(&settings, speed);
    if (tcsetattr(descriptor_, TCSANOW, &settings) == 0) return;
  }
  const Error error = port_fault(port);
  close(descriptor_);
  throw error;
}

SerialLine::~SerialLine() { close(descriptor_); }

void SerialLine::write(std::span<const std::uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(descriptor_, bytes.data(), bytes.size());
    if (count > 0) {
      bytes = bytes.subspan(static_cast<std::size_t>(count));
      continue;
    }
    if (count < 0 && errno != EAGAIN && errno != EINTR) throw port_fault(port_);
    pollfd room{descriptor_, POLLOUT, 0};
    if (poll(&room, 1, kPatienceMs) == 0)
      throw Error(ErrorCode::Io, "the board takes nothing").file(port_.string());
  }
}

std::size_t SerialLine::read(std::span<std::uint8_t> bytes, std::chrono::milliseconds patience) {
  pollfd data{descriptor_, POLLIN, 0};
  const int ready = poll(&data, 1, static_cast<int>(patience.count()));
  if (ready == 0 || (ready < 0 && errno == EINTR)) return 0;
  const ssize_t count = ready < 0 ? -1 : ::read(descriptor_, bytes.data(), bytes.size());
  if (count > 0) return static_cast<std::size_t>(count);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  if (count == 0) errno = ENODEV;
  throw port_fault(port_);
}

}  // namespace espquant::deploy
