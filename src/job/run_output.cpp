#include "job/run_output.h"

#include <fmt/format.h>

#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/file.h"
#include "data/npy.h"
#include "data/npz_frames.h"

namespace espquant::job {
namespace {

/// Collects and writes what comes frame by frame.
class RunWriter {
 public:
  RunWriter(const measure::BankPrograms& programs, const Reading& reading, const RunOutput& output,
            OutputFiles& files)
      : programs_(programs),
        reading_(reading),
        output_(output),
        exponents_(reading.tensors.size()) {
    std::vector<data::NpzFrames::Array> arrays;
    for (const Port& port : reading.ports) {
      const Tensor zero(port.desc.dtype, port.desc.shape);
      const Tensor written = output.integers ? zero : dequantized(port, zero);
      result_.outputs.push_back({port, 0, {}, written.dtype(), written.shape()});
      arrays.push_back({port.name, written.dtype(), written.shape()});
    }
    if (output.path.extension() == ".npz") npz_.emplace(files, output.path, std::move(arrays));
  }

  void add(std::int64_t frame, std::span<const Tensor> values) {
    const bool shown =
        !npz_ || (!output_.all_tensors && frame < static_cast<std::int64_t>(kFramesShown));
    for (std::size_t r = 0; r < result_.outputs.size(); ++r) {
      ++result_.outputs[r].count;
      if (shown) result_.outputs[r].frames.push_back(values[r]);
    }
    if (npz_) npz_->add(values);
  }

  void add(std::int64_t frame, std::size_t bank, std::span<const Tensor> values) {
    result_.banks.push_back(bank);
    for (std::size_t r = 0; r < exponents_.size(); ++r)
      exponents_[r].push_back(programs_.all()[bank]->desc(reading_.tensors[r]).exponent());
    add(frame, values);
  }

  RunResult finish(OutputFiles& files) {
    if (npz_)
      npz_->finish(exponents());
    else
      files.add(output_.path, data::write_npy(joined(result_.outputs.front().frames)));
    return std::move(result_);
  }

 private:
  std::map<std::string, Tensor> exponents() const {
    std::map<std::string, Tensor> arrays;
    if (!output_.integers && !output_.all_tensors) return arrays;
    for (std::size_t r = 0; r < result_.outputs.size(); ++r) {
      const auto& [port, count, frames, dtype, shape] = result_.outputs[r];
      arrays.emplace("exponent:" + port.name,
                     exponents_[r].empty() ? Tensor::scalar<std::int32_t>(port.desc.exponent())
                                           : Tensor::of<std::int32_t>({count}, exponents_[r]));
    }
    return arrays;
  }

  const measure::BankPrograms& programs_;
  const Reading& reading_;
  const RunOutput& output_;
  std::optional<data::NpzFrames> npz_;
  RunResult result_;
  /// Of the integers of each tensor, frame by frame, where there are banks.
  std::vector<std::vector<std::int32_t>> exponents_;
};

}  // namespace

RunResult run_into_file(const measure::BankPrograms& programs, const Frames& frames,
                        const RunOutput& output,
                        const std::function<void(std::int64_t done)>& progress) {
  const auto extension = output.path.extension();
  if (extension != ".npz" && extension != ".npy")
    throw Error(ErrorCode::Usage, "the output must be an .npz or .npy file")
        .file(output.path.string());
  const Reading reading = reading_of(programs.own(), output.all_tensors, output.integers);
  if (extension == ".npy" && reading.tensors.size() != 1)
    throw Error(ErrorCode::Usage,
                fmt::format("{} tensors do not fit into an .npy file", reading.tensors.size()))
        .file(output.path.string())
        .remedy("Write an .npz file");
  OutputFiles files;
  RunWriter writer(programs, reading, output, files);
  if (programs.all().size() == 1)
    simulate(programs.own(), frames, reading, [&](std::int64_t i, std::span<const Tensor> values) {
      writer.add(i, values);
      progress(i + 1);
    });
  else
    simulate(programs, frames, reading,
             [&](std::int64_t i, std::size_t bank, std::span<const Tensor> values) {
               writer.add(i, bank, values);
               progress(i + 1);
             });
  RunResult result = writer.finish(files);
  files.commit();
  return result;
}

nlohmann::ordered_json json_of(const RunResult& result, const RunOutput& output) {
  nlohmann::ordered_json json{{"file", output.path.string()},
                              {"tensors", nlohmann::ordered_json::array()}};
  for (const RunResult::Output& one : result.outputs)
    json["tensors"].push_back({{"name", one.port.name},
                               {"dtype", to_string(one.written)},
                               {"shape", one.written_shape},
                               {"exponent", one.port.desc.exponent()},
                               {"frames", one.count}});
  if (!result.banks.empty()) json["banks"] = result.banks;
  return json;
}

}  // namespace espquant::job
