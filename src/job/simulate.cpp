#include "job/simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "base/cancel.h"
#include "base/error.h"
#include "data/dataset.h"
#include "job/port_metadata.h"

namespace espquant::job {

std::vector<Tensor> frames_of_input(const sim::Program& program, const Port& port,
                                    const Tensor& array, const data::Settings& settings) {
  const bool whole = takes_integers(program.model(), port.name);
  if (array.dtype() == DType::UInt8 && port.desc.dtype != DType::UInt8 &&
      program.inputs().size() == 1) {
    const std::vector<data::InputSpec> spec{{port.name, network_shape(port), whole}};
    const auto samples = data::open_arrays({{port.name, array}}, "", spec,
                                           data::preprocess_for(spec.front(), settings));
    std::vector<Tensor> frames;
    for (std::size_t i = 0; i < samples->size(); ++i)
      frames.push_back(frames_of(port, samples->sample(i).front(), program.target()).front());
    return frames;
  }
  return frames_of(port, whole && !is_float(array.dtype()) ? array.cast(DType::Float32) : array,
                   program.target());
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

void simulate(const sim::Program& program, const Frames& frames, const Reading& reading,
              const FrameSink& sink) {
  sim::Program::Frame frame(program, reading.all);
  std::vector<const std::vector<Tensor>*> inputs;
  for (const std::size_t input : program.inputs())
    inputs.push_back(&frames.at(program.tensor_name(input)));
  std::vector<Tensor> values(reading.tensors.size());
  for (std::size_t i = 0; i < inputs.front()->size(); ++i) {
    throw_if_cancelled();
    for (std::size_t k = 0; k < inputs.size(); ++k) frame.set(program.inputs()[k], (*inputs[k])[i]);
    frame.run();
    for (std::size_t r = 0; r < values.size(); ++r) {
      const Tensor stored = frame.tensor(reading.tensors[r]);
      values[r] = reading.integers ? stored : dequantized(reading.ports[r], stored);
    }
    sink(static_cast<std::int64_t>(i), values);
  }
}

}  // namespace espquant::job
