#include "job/run_inputs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/file.h"
#include "data/dataset.h"
#include "data/image.h"
#include "data/npz.h"
#include "job/port_metadata.h"

namespace espquant::job {
namespace {

class InputReader {
 public:
  InputReader(const sim::Program& program, const RunInputs& inputs, bool real, const Tell& tell)
      : program_(program), inputs_(inputs), real_(real), tell_(tell) {
    for (const std::size_t input : program.inputs()) ports_.push_back(port_of(program, input));
  }

  Frames read() {
    for (const std::string& argument : inputs_.files) read_argument(argument);
    require_frames(program_, frames_, [](const std::string& input) {
      return fmt::format("Add --input {}=FILE", input);
    });
    if (inputs_.count > 0)
      for (auto& [name, frames] : frames_)
        frames.resize(std::min(frames.size(), static_cast<std::size_t>(inputs_.count)));
    return std::move(frames_);
  }

 private:
  /// "FILE", or "NAME=FILE" where NAME is one of the model's inputs.
  void read_argument(const std::string& argument) {
    for (const Port& port : ports_)
      if (argument.starts_with(port.name + '=')) {
        read_file_for(&port, argument.substr(port.name.size() + 1));
        return;
      }
    const std::size_t equals = argument.find('=');
    if (equals != std::string::npos && !std::filesystem::exists(argument)) {
      std::vector<std::string> names;
      for (const Port& port : ports_) names.push_back(port.name);
      throw Error(ErrorCode::Usage,
                  fmt::format("the model has no input '{}'", argument.substr(0, equals)))
          .remedy(fmt::format("Its inputs: {}", fmt::join(names, ", ")));
    }
    read_file_for(ports_.size() == 1 ? &ports_.front() : nullptr, argument);
  }

  /// `port` is null when the file itself must name the inputs.
  void read_file_for(const Port* port, const std::filesystem::path& path) try {
    if (!inputs_.raw && path.extension() == ".npz") {
      read_archive(port, path);
      return;
    }
    if (port == nullptr)
      throw Error(ErrorCode::Usage, "the model has several inputs")
          .remedy(fmt::format("Say which: --input {}=FILE, or give an .npz that names them",
                              ports_.front().name));
    if (inputs_.raw || path.extension() == ".bin")
      add_bytes(*port, read_file(path));
    else if (path.extension() == ".npy")
      add(*port,
          frames_of_input(program_, *port, data::read_npy(path), settings_of_pictures(), real_));
    else if (std::filesystem::is_directory(path))
      add_samples(*port, path);
    else if (data::has_image_extension(path))
      add(*port, cut(*port, data::apply(preprocess_of(*port), data::read_image(path))));
    else
      throw Error(ErrorCode::Usage, "not a kind of input that is known")
          .remedy("Give .jpg, .png, .npy, .npz or .bin, or --raw for the chip's own bytes");
  } catch (Error& error) {
    throw error.file(path.string());
  }

  void read_archive(const Port* port, const std::filesystem::path& path) {
    const auto npz = data::Npz::open(path);
    if (port != nullptr && npz.names().size() == 1) {
      add(*port, frames_of_input(program_, *port, npz.read(npz.names().front()),
                                 settings_of_pictures(), real_));
      return;
    }
    bool found = false;
    for (const Port& candidate : ports_) {
      if (port != nullptr && port != &candidate) continue;
      for (const std::string& key : {"input:" + candidate.name, candidate.name}) {
        if (!npz.has(key)) continue;
        add(candidate,
            frames_of_input(program_, candidate, npz.read(key), settings_of_pictures(), real_));
        found = true;
        break;
      }
    }
    if (!found && ports_.size() == 1 && !holds_recorded_results(npz))
      add_samples(ports_.front(), path);
    else if (!found)
      throw Error(ErrorCode::BadData,
                  fmt::format("no array '{}' among: {}", (port ? *port : ports_.front()).name,
                              fmt::join(npz.names(), ", ")))
          .remedy("Name the arrays as the inputs, or input:<name>");
  }

  static bool holds_recorded_results(const data::Npz& npz) {
    return std::any_of(npz.names().begin(), npz.names().end(),
                       [](const std::string& name) { return name.starts_with("input:"); });
  }

  /// As calibration data are read: a folder of pictures, or arrays beside labels.
  void add_samples(const Port& port, const std::filesystem::path& path) {
    const std::vector<data::InputSpec> spec{
        {port.name, network_shape(port), takes_integers(program_.model(), port.name)}};
    const auto dataset =
        data::open_dataset(path, spec, data::preprocess_for(spec.front(), settings_of_pictures()));
    for (std::size_t i = 0; i < dataset->size(); ++i)
      add(port, cut(port, dataset->sample(i).front()));
  }

  std::vector<Tensor> cut(const Port& port, const Tensor& values) const {
    return real_ ? real_frames_of(port, values, program_.target())
                 : frames_of(port, values, program_.target());
  }

  void add_bytes(const Port& port, const std::vector<std::byte>& bytes) {
    for (Tensor& frame : frames_of_bytes(port, bytes))
      add(port, real_ ? cut(port, frame) : std::vector<Tensor>{std::move(frame)});
  }

  /// What the file says, overridden by the command line.
  data::Settings settings_of_pictures() const {
    return given_settings(inputs_.pictures, preprocess_settings(program_.model()));
  }

  data::Preprocess preprocess_of(const Port& port) {
    const data::InputSpec spec{port.name, network_shape(port),
                               takes_integers(program_.model(), port.name)};
    const auto settings = settings_of_pictures();
    if (settings.empty())
      tell_(
          "the file does not say how pictures are prepared; pixels are scaled to 0..1 (change it "
          "with --preprocess)");
    const auto preprocess = data::preprocess_for(spec, settings);
    if (preprocess.width == 0)
      throw Error(ErrorCode::BadData,
                  fmt::format("the input takes {}, which is no picture", to_string(spec.shape)))
          .tensor(port.name)
          .remedy("Give an .npy or .npz file");
    return preprocess;
  }

  void add(const Port& port, std::vector<Tensor> frames) {
    auto& all = frames_[port.name];
    std::move(frames.begin(), frames.end(), std::back_inserter(all));
  }

  const sim::Program& program_;
  const RunInputs& inputs_;
  bool real_;
  const Tell& tell_;
  std::vector<Port> ports_;
  Frames frames_;
};

}  // namespace

Frames read_frames(const sim::Program& program, const RunInputs& inputs, bool real,
                   const Tell& tell) {
  return InputReader(program, inputs, real, tell).read();
}

}  // namespace espquant::job
