#include "espquant/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <nlohmann/json.hpp>

#include "api/convert.h"
#include "api/model_impl.h"
#include "base/file.h"
#include "data/npz_frames.h"
#include "job/bank_report.h"
#include "job/check_model.h"
#include "job/evaluate.h"
#include "job/latency_json.h"
#include "job/model_facts.h"
#include "job/port_metadata.h"
#include "job/simulate.h"
#include "job/weights.h"
#include "measure/planned_memory.h"
#include "report/cost_table.h"
#include "report/json_text.h"
#include "sim/made_for.h"
#include "sim/verify.h"

namespace espquant {
namespace {

job::ModelFile model_file(const std::filesystem::path& path, const ModelOptions& options) {
  return {path, options.key, options.name, options.target, options.release, options.banks};
}

TensorInfo info_of(const espdl::Model& model, const std::string& name, DType dtype,
                   const Shape& shape, const std::vector<int>& exponents) {
  TensorInfo info{name, std::string(to_string(dtype)), shape, shape, exponents};
  if (const auto perm = job::layout_of(model, name, shape.size()))
    info.network_shape = job::network_shape(shape, *perm);
  return info;
}

std::vector<TensorInfo> infos_of(const espdl::Model& model, const std::vector<std::string>& names) {
  std::vector<TensorInfo> infos;
  for (const std::string& name : names) {
    const espdl::ValueInfo& value = *model.find_value(name);
    infos.push_back(info_of(model, name, value.dtype, value.shape, value.exponents));
  }
  return infos;
}

/// Frames of one tensor in one array, each written where it goes.
class Collected {
 public:
  Collected(const job::Port& port, const job::Reading& reading, std::int64_t count)
      : frames_(count) {
    const Tensor zero(port.desc.dtype, port.desc.shape);
    const Tensor one = reading.integers ? zero : job::dequantized(port, zero);
    whole_ =
        Tensor(one.dtype(), count == 1 ? one.shape() : data::shape_of_frames(one.shape(), count));
    bytes_ = whole_.mutable_bytes();
  }
  void put(std::int64_t frame, const Tensor& value) {
    std::ranges::copy(
        value.bytes(),
        bytes_.begin() + frame * static_cast<std::ptrdiff_t>(bytes_.size()) / frames_);
  }
  Array array() { return api::array_of(std::move(whole_)); }

 private:
  std::int64_t frames_;
  Tensor whole_;
  std::span<std::byte> bytes_;
};

}  // namespace

std::shared_ptr<Model::Impl> make_model(std::vector<std::byte> bytes, job::ModelFile file) try {
  auto impl = std::make_shared<Model::Impl>();
  impl->model = espdl::read_model(bytes, file.read_options());
  impl->target = &file.target_for(impl->model);
  impl->banks = file.load_banks(impl->model);
  if (!impl->banks.is_empty()) impl->banks_bytes = std::filesystem::file_size(*file.banks_file());
  impl->bytes = std::move(bytes);
  impl->file = std::move(file);
  return impl;
} catch (Error& error) {
  throw error.file(file.path.string());
}

const measure::BankPrograms& Model::Impl::programs() {
  std::call_once(made, [&] {
    try {
      sim::require_packed_for(model, *target);
      runnable = std::make_unique<sim::Program>(model, *target);
      measure::compute_in_planned_memory(*runnable);
      banked = std::make_unique<measure::BankPrograms>(*runnable, banks);
    } catch (Error& error) {
      throw error.file(file.path.string());
    }
  });
  return *banked;
}

Model Model::open(const std::filesystem::path& file, const ModelOptions& options) {
  return Model(make_model(read_file(file), model_file(file, options)));
}

Model Model::from_bytes(std::vector<std::byte> bytes, const ModelOptions& options,
                        const std::string& called) {
  ModelOptions alone = options;
  if (alone.banks.empty()) alone.banks = "none";
  return Model(make_model(std::move(bytes), model_file(called, alone)));
}

std::string Model::target() const { return std::string(impl_->target->name); }
std::string Model::release() const { return std::string(impl_->target->release.version); }

std::map<std::string, std::string> Model::metadata() const {
  return {impl_->model.metadata.begin(), impl_->model.metadata.end()};
}

std::vector<TensorInfo> Model::inputs() const {
  return infos_of(impl_->model, impl_->model.inputs);
}
std::vector<TensorInfo> Model::outputs() const {
  return infos_of(impl_->model, impl_->model.outputs);
}

std::vector<TensorInfo> Model::tensors() const {
  std::vector<TensorInfo> infos;
  for (const espdl::ValueInfo& value : impl_->model.values)
    infos.push_back(info_of(impl_->model, value.name, value.dtype, value.shape, value.exponents));
  return infos;
}

std::vector<TensorInfo> Model::constants() const {
  std::vector<TensorInfo> infos;
  for (const espdl::Constant& constant : impl_->model.initializers)
    infos.push_back({constant.name, std::string(to_string(constant.data.dtype())),
                     constant.data.shape(), constant.data.shape(), constant.exponents});
  return infos;
}

Array Model::constant(const std::string& name) const {
  return api::array_of(job::constant_of(impl_->model, name).data);
}

Array Model::weights(const std::string& name) const {
  return api::array_of(job::weights_of(impl_->model, *impl_->target, name));
}

namespace {

/// Of arrays by name, real ones where there are banks to choose by.
job::Frames frames_of(Model::Impl& impl, const std::map<std::string, Array>& inputs) {
  const sim::Program& program = impl.program();
  if (program.inputs().empty())
    throw Error(ErrorCode::Unsupported, "the model has no inputs").file(impl.file.path.string());
  const data::Settings settings = job::preprocess_settings(impl.model);
  job::Frames frames;
  for (const auto& [given, array] : inputs) {
    const bool only = given.empty() && program.inputs().size() == 1;
    const auto input = std::ranges::find_if(
        program.inputs(), [&](std::size_t i) { return only || program.tensor_name(i) == given; });
    if (input == program.inputs().end())
      throw Error(ErrorCode::Usage, fmt::format("the model has no input '{}'", given))
          .remedy(fmt::format("Its inputs are {}", fmt::join(impl.model.inputs, ", ")));
    const job::Port port = job::port_of(program, *input);
    frames[port.name] = job::frames_of_input(program, port, api::tensor_of(array), settings,
                                             !impl.banks.banks.empty());
  }
  if (frames.empty()) throw Error(ErrorCode::Usage, "no input is given");
  job::require_frames(program, frames, [](const std::string&) {
    return std::string("give an array for each input, by its name");
  });
  return frames;
}

}  // namespace

std::map<std::string, Array> Model::run(const std::map<std::string, Array>& inputs,
                                        const RunOptions& options, const Observer& observer) const {
  const api::Listener listener(observer);
  const sim::Program& program = impl_->program();
  const job::Frames frames = frames_of(*impl_, inputs);
  const auto count = static_cast<std::int64_t>(frames.begin()->second.size());
  const job::Reading reading = job::reading_of(program, options.all, options.integers);
  std::vector<Collected> results;
  for (const job::Port& port : reading.ports) results.emplace_back(port, reading, count);
  const auto take = [&](std::int64_t i, std::span<const Tensor> values) {
    for (std::size_t r = 0; r < results.size(); ++r) results[r].put(i, values[r]);
    if (observer.stage) observer.stage("running", i + 1, count);
  };
  if (impl_->banks.banks.empty())
    job::simulate(program, frames, reading, take);
  else
    job::simulate(
        impl_->programs(), frames, reading,
        [&](std::int64_t i, std::size_t, std::span<const Tensor> values) { take(i, values); });
  std::map<std::string, Array> outputs;
  for (std::size_t r = 0; r < results.size(); ++r)
    outputs.emplace(reading.ports[r].name, results[r].array());
  return outputs;
}

std::string Model::banks() const {
  if (impl_->banks.is_empty()) return "null";
  auto json = job::banks_json(impl_->model, impl_->banks, impl_->banks_bytes);
  json["ranges"] = job::following_json(impl_->model, impl_->banks);
  return report::json_text(json);
}

std::vector<std::size_t> Model::banks_of(const std::map<std::string, Array>& inputs) const {
  const job::Frames frames = frames_of(*impl_, inputs);
  const measure::BankPrograms& programs = impl_->programs();
  std::vector<std::size_t> banks;
  for (std::size_t i = 0; i < frames.begin()->second.size(); ++i) {
    std::vector<Tensor> frame;
    for (const auto& [name, values] : frames) frame.push_back(values[i]);
    banks.push_back(programs.choose(frame));
  }
  return banks;
}

std::vector<Verdict> Model::verify(bool exact) const try {
  sim::VerifyOptions options;
  options.tolerance = exact ? sim::Tolerance::Exact : sim::Tolerance::EspDl;
  std::vector<Verdict> verdicts;
  for (const sim::OutputCheck& c : sim::verify_test_values(impl_->program(), options))
    verdicts.push_back(
        {c.name, c.elements, c.different, c.mismatches, c.largest, c.problem, c.passed()});
  return verdicts;
} catch (Error& error) {
  throw error.file(impl_->file.path.string());
}

Evaluation Model::evaluate(const Data& data, const Network& reference,
                           const Observer& observer) const {
  api::Listener listener(observer);
  const auto stage = listener.stages();
  const job::Evaluated evaluated =
      job::evaluate(impl_->programs(), reference.file, api::network_options(reference),
                    api::data_options(data, "data"), listener.tell(),
                    [&](std::int64_t done, std::int64_t total) { stage("evaluate", done, total); });
  const measure::Evaluation& result = evaluated.result;
  Evaluation evaluation{result.samples,   std::nullopt,
                        result.accuracy,  result.reference_accuracy,
                        result.agreement, report::json_text(job::json_of(evaluated))};
  if (result.noise) evaluation.noise = result.noise->ratio();
  return evaluation;
}

std::string Model::inspect() const {
  report::FileFacts facts = job::facts_of(impl_->bytes, impl_->file);
  facts.target = impl_->target->name;
  const report::Cost cost = report::cost_of(impl_->model, *impl_->target);
  return report::to_json(impl_->model, facts, &cost);
}

std::string Model::plan(std::size_t internal_ram) const {
  cost::PlannerOptions options;
  options.max_internal_size = internal_ram;
  return report::json_text(
      job::plan_json(cost::plan_memory(impl_->model, *impl_->target, options)));
}

std::string Model::latency(const std::filesystem::path& board, int cores) const {
  const job::BoardOptions options{board, cores};
  const report::Cost cost = report::cost_of(impl_->model, *impl_->target, {},
                                            options.latency_for(*impl_->target, job::ignored));
  return report::json_text(
      job::latency_json(impl_->file.path.string(), *impl_->target, cost.latency));
}

ModelCheck check(const std::filesystem::path& file, const ModelOptions& options) {
  const job::ModelFile chosen = model_file(file, options);
  const std::vector<job::CheckedModel> checked = job::check_file(chosen);
  const bool passed =
      std::ranges::all_of(checked, [](const job::CheckedModel& one) { return one.defects() == 0; });
  return {passed, report::json_text(job::json_of(chosen, checked))};
}

}  // namespace espquant
