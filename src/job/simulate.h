#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "data/preprocess.h"
#include "job/frames.h"
#include "measure/bank_programs.h"
#include "sim/program.h"

/// Arrays through a program, frame by frame.
namespace espquant::job {

/// Frames by input.
using Frames = std::map<std::string, std::vector<Tensor>>;

/// The frames of an array for an input of `program`, as real_frames_of() if `real`: bytes are
/// pictures, of a program of one input that holds no bytes, prepared by `settings`; an input of
/// whole numbers takes them as they are; else as frames_of(). Throws likewise.
std::vector<Tensor> frames_of_input(const sim::Program& program, const Port& port,
                                    const Tensor& array, const data::Settings& settings,
                                    bool real = false);

/// Throws Error(Usage) for an input of `program` without frames, with what `remedy` says of its
/// name, and Error(BadData) where inputs have different numbers of frames.
void require_frames(const sim::Program& program, const Frames& frames,
                    const std::function<std::string(const std::string& input)>& remedy);

/// What is read of every frame.
struct Reading {
  std::vector<std::size_t> tensors;
  /// One for each.
  std::vector<Port> ports;
  /// The chip's integers, instead of dequantized().
  bool integers = false;
  /// Tensors that are no outputs are among them.
  bool all = false;
};

/// The outputs, or every tensor. All tensors are in ESP-DL's layout: the network's is known at its
/// ends only.
Reading reading_of(const sim::Program& program, bool all, bool integers);

using FrameSink = std::function<void(std::int64_t frame, std::span<const Tensor> values)>;

/// One frame after the other: streaming operators keep their state from frame to frame.
void simulate(const sim::Program& program, const Frames& frames, const Reading& reading,
              const FrameSink& sink);

using BankSink =
    std::function<void(std::int64_t frame, std::size_t bank, std::span<const Tensor> values)>;

/// The same of a model with banks: real frames (real_frames_of), each computed by the bank for it
/// alone. `reading` of the model itself.
void simulate(const measure::BankPrograms& programs, const Frames& frames, const Reading& reading,
              const BankSink& sink);

}  // namespace espquant::job
