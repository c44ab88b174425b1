#include "cli/interruption.h"

#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "base/file.h"

namespace espquant::cli {
namespace {

constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};
/// Leaves time to remove files within the second that is promised.
constexpr int kPatienceMs = 700;

bool is_ignored(int signal) {
  struct sigaction action {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

Interruption::Interruption() : signal_(SIGINT) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : kSignals)
    if (!is_ignored(signal)) sigaddset(&set, signal);
  signals_ = signalfd(-1, &set, SFD_CLOEXEC);
  finished_ = eventfd(0, EFD_CLOEXEC);
  // Without either, signals end the program as they always do.
  if (signals_ < 0 || finished_ < 0) return;
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  watcher_ = std::thread([this] { watch(); });
}

Interruption::~Interruption() {
  if (watcher_.joinable()) {
    const std::uint64_t one = 1;
    while (::write(finished_, &one, sizeof one) < 0 && errno == EINTR) {
    }
    watcher_.join();
  }
  if (signals_ >= 0) ::close(signals_);
  if (finished_ >= 0) ::close(finished_);
}

int Interruption::exit_code() const { return 128 + signal_; }

std::string Interruption::message() {
  std::string names;
  for (const auto& path : written_outputs()) names += (names.empty() ? "" : ", ") + path.string();
  if (names.empty()) return "interrupted; nothing was written, and older files are as they were";
  return fmt::format("interrupted; written before, and whole: {}", names);
}

void Interruption::watch() {
  std::array<pollfd, 2> events = {pollfd{signals_, POLLIN, 0}, pollfd{finished_, POLLIN, 0}};
  const auto waited_for = [&](int milliseconds) {
    int found = 0;
    while ((found = ::poll(events.data(), events.size(), milliseconds)) < 0 && errno == EINTR) {
    }
    return found > 0;
  };
  waited_for(-1);
  if ((events[0].revents & POLLIN) == 0) return;
  signalfd_siginfo info{};
  if (::read(signals_, &info, sizeof info) != sizeof info) return;
  signal_ = static_cast<int>(info.ssi_signo);
  flag_ = true;
  // Whoever asks twice has waited long enough.
  if (waited_for(kPatienceMs) && (events[1].revents & POLLIN) != 0) return;
  abandon_outputs();
  fmt::print(stderr, "\nespquant: error: {}\n", message());
  std::_Exit(exit_code());
}

}  // namespace espquant::cli
