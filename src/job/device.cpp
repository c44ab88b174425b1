#include "job/device.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>

#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "job/frames.h"
#include "job/outline.h"
#include "job/port_metadata.h"
#include "measure/evaluate.h"
#include "measure/planned_memory.h"
#include "sim/program.h"

namespace espquant::job {
namespace {

std::vector<Tensor> tensors_from(const std::vector<std::uint8_t>& bytes,
                                 const sim::Program& program) {
  std::vector<Tensor> tensors;
  std::size_t at = 0;
  for (const std::size_t output : program.outputs()) {
    const auto& desc = program.desc(output);
    Tensor tensor(desc.dtype, desc.shape);
    if (at + tensor.byte_size() > bytes.size())
      throw Error(ErrorCode::Io, "the board's outputs are cut short");
    std::memcpy(tensor.mutable_bytes().data(), bytes.data() + at, tensor.byte_size());
    at += tensor.byte_size();
    tensors.push_back(std::move(tensor));
  }
  if (at != bytes.size()) throw Error(ErrorCode::Io, "the board gives more outputs than the file");
  return tensors;
}

/// Runs the data set on both, side by side.
class DeviceRun {
 public:
  DeviceRun(const DeviceOptions& options, const sim::Program& program, const Data& data,
            deploy::Device& device)
      : options_(options), program_(program), data_(data), device_(device), frame_(program) {
    for (const std::size_t input : program.inputs()) ports_.push_back(port_of(program, input));
  }

  DeviceReport report(const std::function<void(std::int64_t, std::int64_t)>& progress) {
    const std::vector<std::int64_t> labels = data_.labels();
    std::int64_t right = 0, simulated_right = 0;
    const auto count = static_cast<std::int64_t>(data_.chosen.size());
    for (std::size_t i = 0; i < data_.chosen.size(); ++i) {
      const std::vector<Tensor> got = on_board(data_.chosen[i]);
      const std::vector<Tensor> expected = simulated();
      compare(i, got, expected);
      if (!labels.empty() && !got.empty()) {
        right += measure::best_class(got.front().cast(DType::Float32)) == labels[i];
        simulated_right += measure::best_class(expected.front().cast(DType::Float32)) == labels[i];
      }
      progress(static_cast<std::int64_t>(i) + 1, count);
    }
    report_.samples = count;
    report_.preparation_ms /= static_cast<double>(count);
    report_.run_ms /= static_cast<double>(count);
    if (!labels.empty()) {
      report_.accuracy = static_cast<double>(right) / static_cast<double>(count);
      report_.simulated_accuracy =
          static_cast<double>(simulated_right) / static_cast<double>(count);
    }
    return std::move(report_);
  }

 private:
  std::vector<Tensor> on_board(std::size_t sample) {
    const std::vector<Tensor> values = data_.dataset->sample(sample);
    inputs_.clear();
    for (std::size_t i = 0; i < ports_.size(); ++i)
      inputs_.push_back(frames_of(ports_[i], values[i], program_.target()).front());
    const auto result = options_.send_pictures ? device_.run_picture(data_.dataset->picture(sample))
                                               : device_.run(inputs_);
    report_.preparation_ms += result.preparation_us / 1e3;
    report_.run_ms += result.run_us / 1e3;
    return tensors_from(result.outputs, program_);
  }

  std::vector<Tensor> simulated() {
    for (std::size_t i = 0; i < inputs_.size(); ++i) frame_.set(program_.inputs()[i], inputs_[i]);
    frame_.run();
    std::vector<Tensor> outputs;
    for (const std::size_t output : program_.outputs()) outputs.push_back(frame_.tensor(output));
    return outputs;
  }

  void compare(std::size_t sample, const std::vector<Tensor>& got,
               const std::vector<Tensor>& expected) {
    bool same = true;
    for (std::size_t o = 0; o < got.size(); ++o) {
      const std::size_t size = size_of(got[o].dtype());
      const auto a = got[o].bytes(), b = expected[o].bytes();
      for (std::size_t at = 0; at < a.size(); at += size) {
        if (std::equal(a.begin() + static_cast<std::ptrdiff_t>(at),
                       a.begin() + static_cast<std::ptrdiff_t>(at + size),
                       b.begin() + static_cast<std::ptrdiff_t>(at)))
          continue;
        same = false;
        if (report_.different_elements++ == 0) describe(sample, o, at / size, got, expected);
      }
    }
    if (!same) ++report_.different_samples;
  }

  void describe(std::size_t sample, std::size_t output, std::size_t element,
                const std::vector<Tensor>& got, const std::vector<Tensor>& expected) {
    const auto number = [element](const Tensor& tensor) {
      return tensor.cast(DType::Float64).data<double>()[element];
    };
    report_.first_difference =
        fmt::format("sample {}, output '{}', element {}: {:g}, expected {:g}", data_.chosen[sample],
                    program_.tensor_name(program_.outputs()[output]), element, number(got[output]),
                    number(expected[output]));
  }

  const DeviceOptions& options_;
  const sim::Program& program_;
  const Data& data_;
  deploy::Device& device_;
  sim::Program::Frame frame_;
  std::vector<Port> ports_;
  std::vector<Tensor> inputs_;
  DeviceReport report_;
};

/// Turns to the model of the file, of the package that the board may know several of.
void find_model(const DeviceOptions& options, deploy::Device& device) {
  const std::string& name = options.file.name;
  const std::string sha256 = sha256_of(read_file(options.file.path));
  std::vector<std::string> known;
  for (std::size_t m = 0, count = 1; m < count; ++m) {
    const deploy::Device::Info info = device.hello(m);
    if (info.sha256 != sha256)
      throw Error(ErrorCode::BadData, "the board runs another model")
          .file(options.port.string())
          .remedy("Give the file that its project was made of");
    if (name.empty() || info.name == name) return;
    count = info.models;
    known.push_back(info.name);
  }
  throw Error(ErrorCode::BadData, fmt::format("the board does not run '{}'", name))
      .file(options.port.string())
      .remedy(fmt::format("It runs {}", fmt::join(known, ", ")));
}

}  // namespace

DeviceReport run_on_device(const DeviceOptions& options, const Tell& tell,
                           const std::function<void(std::int64_t, std::int64_t)>& progress) {
  const espdl::Model model = options.file.load();
  sim::Program program(model, options.file.target_to_run(model));
  measure::compute_in_planned_memory(program);
  const Data data = open_data(options.data, outline(model), tell, preprocess_settings(model),
                              stored_classes(model));
  if (options.send_pictures && !data.dataset->holds_pictures())
    throw Error(ErrorCode::Usage, "the data are no pictures")
        .file(options.data.path.string())
        .remedy("Leave out --pictures");
  deploy::SerialLine line(options.port, options.baud);
  deploy::Device device(line, options.patience);
  find_model(options, device);
  device.reset();
  return DeviceRun(options, program, data, device).report(progress);
}

}  // namespace espquant::job
