#include "espquant/quantize.h"

#include <nlohmann/json.hpp>

#include "api/convert.h"
#include "api/model_impl.h"
#include "job/quantize.h"
#include "job/quantized_files.h"
#include "report/json_text.h"

namespace espquant {

struct Quantized::Impl {
  std::string name;
  job::Quantized quantized;
  std::vector<std::string> notes;

  const strategy::QuantizedModel& made() const { return quantized.made; }
};

Quantized quantize(const Network& network, const Data& calib, const QuantizeOptions& options,
                   const Observer& observer) {
  api::Listener listener(observer);
  job::QuantizeJob job;
  job.model = network.file;
  job.network = api::network_options(network);
  job.calib = api::data_options(calib, "calibration data");
  if (!options.test.empty()) job.test = api::data_options(options.test, "test data");
  job.target = options.target;
  job.recipe = options.recipe.options();
  job.board.file = options.board;
  job.test_values = options.test_values;
  job.report_samples = options.report_samples;
  job.metadata.assign(options.metadata.begin(), options.metadata.end());
  job::Quantized quantized = job::quantize(job, listener.tell(), listener.stages());
  std::vector<std::string> notes = listener.notes();
  for (std::string& note : job::notes_of(quantized.made)) notes.push_back(std::move(note));
  return Quantized(std::make_shared<const Quantized::Impl>(
      Quantized::Impl{network.file.stem().string(), std::move(quantized), std::move(notes)}));
}

double Quantized::noise() const { return impl_->quantized.noise().ratio(); }

std::optional<double> Quantized::accuracy() const {
  const auto& test = impl_->quantized.test;
  return test ? test->accuracy : std::nullopt;
}
std::optional<double> Quantized::reference_accuracy() const {
  const auto& test = impl_->quantized.test;
  return test ? test->reference_accuracy : std::nullopt;
}
std::optional<double> Quantized::agreement() const {
  const auto& test = impl_->quantized.test;
  return test ? test->agreement : std::nullopt;
}

double Quantized::milliseconds() const { return impl_->quantized.cost.latency.milliseconds; }
std::size_t Quantized::ram_bytes() const { return impl_->quantized.cost.memory.ram_bytes(); }

std::vector<Quantized::Layer> Quantized::layers() const {
  std::vector<Layer> layers;
  for (const measure::LayerNoise& l : impl_->made().noise.layers)
    layers.push_back({l.node, l.op, l.tensor, std::string(to_string(l.dtype)), l.exponent,
                      l.accumulated.ratio(), l.alone.ratio()});
  return layers;
}

std::vector<std::string> Quantized::warnings() const { return impl_->made().warnings; }
std::vector<std::string> Quantized::notes() const { return impl_->notes; }
std::string Quantized::target() const { return std::string(impl_->quantized.target->name); }

Recipe Quantized::recipe() const {
  return Recipe::from_toml(recipe::to_toml(impl_->made().recipe));
}

std::string Quantized::json() const {
  return report::json_text(job::json_of(impl_->quantized, {}));
}

const std::vector<std::byte>& Quantized::bytes() const { return impl_->quantized.file.bytes(); }

Model Quantized::model() const {
  job::ModelFile file;
  file.path = impl_->name + ".espdl";
  file.banks = "none";
  auto made = make_model(bytes(), std::move(file));
  if (const auto& found = impl_->quantized.banks; found && !found->banks.is_empty()) {
    made->banks = found->banks;
    made->banks_bytes =
        espdl::write_banks(found->banks, made->model, bytes(), *made->target).size();
  }
  return Model(std::move(made));
}

std::vector<std::filesystem::path> Quantized::save(const std::filesystem::path& folder,
                                                   const std::string& name,
                                                   bool compile_request) const {
  OutputFiles output;
  const std::string& called = name.empty() ? impl_->name : name;
  auto files =
      job::add_files(output, impl_->quantized,
                     job::stem_of(folder, called, impl_->made().recipe.name), compile_request);
  output.commit();
  return files;
}

std::vector<std::filesystem::path> Quantized::save_as(const std::filesystem::path& file,
                                                      bool compile_request) const {
  OutputFiles output;
  std::filesystem::path stem = file;
  if (stem.extension() == ".espdl") stem.replace_extension();
  auto files = job::add_files(output, impl_->quantized, stem, compile_request);
  output.commit();
  return files;
}

}  // namespace espquant
