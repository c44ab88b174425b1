#include "job/simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <numeric>

#include "base/cancel.h"
#include "base/error.h"
#include "data/dataset.h"
#include "job/port_metadata.h"

namespace espquant::job {

std::vector<Tensor> frames_of_input(const sim::Program& program, const Port& port,
                                    const Tensor& array, const data::Settings& settings,
                                    bool real) {
  const auto frames_for = [&](const Tensor& values) {
    return real ? real_frames_of(port, values, program.target())
                : frames_of(port, values, program.target());
  };
  const bool whole = takes_integers(program.model(), port.name);
  if (array.dtype() == DType::UInt8 && port.desc.dtype != DType::UInt8 &&
      program.inputs().size() == 1) {
    const std::vector<data::InputSpec> spec{{port.name, network_shape(port), whole}};
    const auto samples = data::open_arrays({{port.name, array}}, "", spec,
                                           data::preprocess_for(spec.front(), settings));
    std::vector<Tensor> frames;
    for (std::size_t i = 0; i < samples->size(); ++i)
      frames.push_back(frames_for(samples->sample(i).front()).front());
    return frames;
  }
  return frames_for(whole && !is_float(array.dtype()) ? array.cast(DType::Float32) : array);
}

void require_frames(const sim::Program& program, const Frames& frames,
                    const std::function<std::string(const std::string& input)>& remedy) {
  for (const std::size_t input : program.inputs()) {
    const std::string& name = program.tensor_name(input);
    if (!frames.contains(name))
      throw Error(ErrorCode::Usage, "nothing is given for this input")
          .tensor(name)
          .remedy(remedy(name));
  }
  const auto& [first, some] = *frames.begin();
  for (const auto& [name, others] : frames)
    if (others.size() != some.size())
      throw Error(ErrorCode::BadData,
                  fmt::format("{} frames, but '{}' has {}", others.size(), first, some.size()))
          .tensor(name);
}

Reading reading_of(const sim::Program& program, bool all, bool integers) {
  Reading reading;
  reading.integers = integers;
  reading.all = all;
  if (all) {
    reading.tensors.resize(program.tensor_count());
    std::iota(reading.tensors.begin(), reading.tensors.end(), std::size_t{0});
  } else {
    reading.tensors.assign(program.outputs().begin(), program.outputs().end());
  }
  for (const std::size_t tensor : reading.tensors) {
    reading.ports.push_back(port_of(program, tensor));
    if (all) reading.ports.back().perm.reset();
  }
  return reading;
}

namespace {

/// The tensors that are read of a frame that has run.
void read(sim::Program::Frame& frame, const Reading& reading, std::vector<Tensor>& values) {
  values.resize(reading.tensors.size());
  for (std::size_t r = 0; r < values.size(); ++r) {
    const Tensor stored = frame.tensor(reading.tensors[r]);
    values[r] = reading.integers ? stored : dequantized(reading.ports[r], stored);
  }
}

/// By input of the program.
std::vector<const std::vector<Tensor>*> in_order(const sim::Program& program,
                                                 const Frames& frames) {
  std::vector<const std::vector<Tensor>*> inputs;
  for (const std::size_t input : program.inputs())
    inputs.push_back(&frames.at(program.tensor_name(input)));
  return inputs;
}

/// A bank, ready to compute.
struct BankRun {
  BankRun(const sim::Program& of, const Reading& own)
      : program(of), frame(of, own.all), reading(reading_of(of, own.all, own.integers)) {
    for (const std::size_t input : of.inputs()) ports.push_back(port_of(of, input));
  }
  const sim::Program& program;
  sim::Program::Frame frame;
  Reading reading;
  std::vector<Port> ports;
};

}  // namespace

void simulate(const sim::Program& program, const Frames& frames, const Reading& reading,
              const FrameSink& sink) {
  sim::Program::Frame frame(program, reading.all);
  const auto inputs = in_order(program, frames);
  std::vector<Tensor> values;
  for (std::size_t i = 0; i < inputs.front()->size(); ++i) {
    throw_if_cancelled();
    for (std::size_t k = 0; k < inputs.size(); ++k) frame.set(program.inputs()[k], (*inputs[k])[i]);
    frame.run();
    read(frame, reading, values);
    sink(static_cast<std::int64_t>(i), values);
  }
}

void simulate(const measure::BankPrograms& programs, const Frames& frames, const Reading& reading,
              const BankSink& sink) {
  std::deque<BankRun> runs;
  for (const sim::Program* program : programs.all()) runs.emplace_back(*program, reading);
  const auto inputs = in_order(programs.own(), frames);
  std::vector<Tensor> frame(inputs.size()), values;
  for (std::size_t i = 0; i < inputs.front()->size(); ++i) {
    throw_if_cancelled();
    for (std::size_t k = 0; k < inputs.size(); ++k) frame[k] = (*inputs[k])[i];
    const std::size_t bank = programs.choose(frame);
    BankRun& run = runs[bank];
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const bool rounds = sim::is_quantized(run.ports[k].desc.dtype);
      run.frame.set(run.program.inputs()[k],
                    rounds ? quantized(run.ports[k], frame[k], run.program.target()) : frame[k]);
    }
    run.frame.run();
    read(run.frame, run.reading, values);
    sink(static_cast<std::int64_t>(i), bank, values);
  }
}

}  // namespace espquant::job
