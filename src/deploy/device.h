#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "deploy/serial_line.h"
#include "deploy/templates/main/protocol.hpp"

namespace espquant::deploy {

/// A board that runs the serial application of a project.
class Device {
 public:
  /// `patience`: with an answer; a request that got lost is repeated.
  Device(SerialLine& line, std::chrono::milliseconds patience) : line_(line), patience_(patience) {}

  struct Info {
    /// That the board's application knows.
    std::size_t models = 0;
    std::size_t largest_payload = 0;
    /// Of the file that they are from.
    std::string sha256;
    /// In a package, of the model that was asked for.
    std::string name;
  };
  /// Asks for the model of that number, and for nothing else from now on. Throws Error(Io) where
  /// nothing answers, Error(Unsupported) for another protocol.
  Info hello(std::size_t model = 0);
  /// Forgets what streaming models heard.
  void reset();

  struct Result {
    std::uint32_t preparation_us = 0, run_us = 0;
    /// All outputs in the order of the file, as they lie in memory.
    std::vector<std::uint8_t> outputs;
  };
  /// All inputs in the order and layout of the file. Throws Error(BadData) with the board's reason
  /// where it refuses them.
  Result run(const std::vector<Tensor>& inputs);
  /// uint8 pixels (H,W,1) or (H,W,3) in RGB order, which the board prepares.
  Result run_picture(const Tensor& pixels);

 private:
  std::vector<std::uint8_t> ask(firmware::FrameType request, firmware::FrameType answer,
                                std::vector<std::uint8_t> payload);
  bool receive(firmware::FrameReader& reader, std::uint16_t sequence);

  SerialLine& line_;
  std::chrono::milliseconds patience_;
  std::uint16_t sequence_ = 0;
  std::uint8_t model_ = 0;
  std::vector<std::uint8_t> answer_ = std::vector<std::uint8_t>(std::size_t{8} << 20);
};

}  // namespace espquant::deploy
