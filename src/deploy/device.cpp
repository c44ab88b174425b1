#include "deploy/device.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "deploy/serial_frame.h"
#include "deploy/templates/main/preprocess.hpp"

namespace espquant::deploy {
namespace {

using firmware::FrameReader;
using firmware::FrameType;
using Clock = std::chrono::steady_clock;

constexpr int kTries = 3;

Error bad_answer(std::string_view what) {
  return Error(ErrorCode::Io, fmt::format("the board's answer is {}", what))
      .remedy("Flash the project anew, made by this version of espquant with --app serial");
}

std::vector<std::uint8_t> bytes_of_tensors(const std::vector<Tensor>& tensors) {
  std::vector<std::uint8_t> bytes;
  for (const Tensor& tensor : tensors)
    for (const std::byte b : tensor.bytes()) bytes.push_back(static_cast<std::uint8_t>(b));
  return bytes;
}

Device::Result result_of(const std::vector<std::uint8_t>& payload) {
  if (payload.size() < firmware::kResultHeaderBytes) throw bad_answer("cut short");
  return {firmware::number_at(payload.data(), 4),
          firmware::number_at(payload.data() + 4, 4),
          {payload.begin() + firmware::kResultHeaderBytes, payload.end()}};
}

}  // namespace

/// Until the frame that answers `sequence` is whole, or patience ends.
bool Device::receive(FrameReader& reader, std::uint16_t sequence) {
  const auto end = Clock::now() + patience_;
  std::uint8_t bytes[4096];
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
    if (left.count() <= 0) return false;
    const std::size_t count = line_.read(bytes, left);
    for (std::size_t i = 0; i < count; ++i) {
      const auto event = reader.feed(bytes[i]);
      if (event == FrameReader::Event::TooLong) throw bad_answer("too long");
      if (event == FrameReader::Event::Damaged) return false;
      if (event == FrameReader::Event::Frame && reader.sequence() == sequence) return true;
    }
  }
}

std::vector<std::uint8_t> Device::ask(FrameType request, FrameType answer,
                                      std::vector<std::uint8_t> payload) {
  const std::uint16_t sequence = ++sequence_;
  const std::vector<std::uint8_t> frame = serial_frame(request, model_, sequence, payload);
  for (int attempt = 0; attempt < kTries; ++attempt) {
    FrameReader reader(answer_.data(), answer_.size());
    line_.write(frame);
    if (!receive(reader, sequence)) continue;
    std::vector<std::uint8_t> got(reader.payload(), reader.payload() + reader.length());
    if (reader.type() == answer) return got;
    if (reader.type() == FrameType::Refused)
      throw Error(ErrorCode::BadData,
                  fmt::format("the board refuses: {}", std::string(got.begin(), got.end())));
    throw bad_answer("of another kind");
  }
  throw Error(ErrorCode::Io, "the board does not answer")
      .remedy(
          "Does it run a project made with --app serial? Is --baud that of the board, and the "
          "monitor closed?");
}

Device::Info Device::hello(std::size_t model) {
  model_ = static_cast<std::uint8_t>(model);
  // Whoever asked before may have used the same sequence for something else.
  sequence_ = static_cast<std::uint16_t>(Clock::now().time_since_epoch().count());
  const auto payload = ask(FrameType::Hello, FrameType::Info, {});
  constexpr std::size_t kFixed = firmware::kInfoHeaderBytes + firmware::kDigestBytes;
  if (payload.size() < firmware::kInfoHeaderBytes) throw bad_answer("cut short");
  if (payload[0] != firmware::kProtocol)
    throw Error(ErrorCode::Unsupported, fmt::format("the board speaks version {} of the protocol, "
                                                    "this program {}",
                                                    payload[0], firmware::kProtocol))
        .remedy("Make the project anew with this version of espquant");
  if (payload.size() < kFixed) throw bad_answer("cut short");
  const auto digest = payload.begin() + firmware::kInfoHeaderBytes;
  return {payload[1],
          firmware::number_at(payload.data() + 4, 4),
          {digest, digest + firmware::kDigestBytes},
          {payload.begin() + kFixed, payload.end()}};
}

void Device::reset() { ask(FrameType::Reset, FrameType::Done, {}); }

Device::Result Device::run(const std::vector<Tensor>& inputs) {
  return result_of(ask(FrameType::Inputs, FrameType::Result, bytes_of_tensors(inputs)));
}

Device::Result Device::run_picture(const Tensor& pixels) {
  ESPQUANT_ASSERT(pixels.rank() == 3 && pixels.dtype() == DType::UInt8, "pixels are uint8 (H,W,C)");
  std::vector<std::uint8_t> payload(firmware::kPictureHeaderBytes);
  firmware::put_number(payload.data(), static_cast<std::uint32_t>(pixels.shape()[1]), 2);
  firmware::put_number(payload.data() + 2, static_cast<std::uint32_t>(pixels.shape()[0]), 2);
  payload[4] = static_cast<std::uint8_t>(pixels.shape()[2] == 1 ? firmware::PixelFormat::Gray
                                                                : firmware::PixelFormat::Rgb888);
  const auto data = pixels.data<std::uint8_t>();
  payload.insert(payload.end(), data.begin(), data.end());
  return result_of(ask(FrameType::Picture, FrameType::Result, std::move(payload)));
}

}  // namespace espquant::deploy
