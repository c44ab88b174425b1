#include "job/project.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>

#include "base/error.h"
#include "base/file.h"
#include "espdl/package.h"
#include "espdl/reader.h"
#include "job/frames.h"
#include "job/outline.h"
#include "job/port_metadata.h"
#include "measure/bank_programs.h"
#include "measure/planned_memory.h"
#include "sim/made_for.h"
#include "sim/program.h"

namespace espquant::job {
namespace {

/// Elements between neighbours along axis `axis` of the network, in the stored order.
std::int64_t stride_of(const Port& port, std::size_t axis) {
  const auto perm = order_of(port);
  std::int64_t stride = 1;
  for (std::size_t i = perm.size(); i-- > 0;) {
    if (perm[i] == static_cast<std::int64_t>(axis)) return stride;
    stride *= port.desc.shape[i];
  }
  return 0;
}

std::optional<deploy::PictureInput> pictures_of(const ProjectOptions& options,
                                                const sim::Program& program, const Tell& tell) {
  const espdl::Model& model = program.model();
  if (program.inputs().size() != 1) return std::nullopt;
  const Port port = port_of(program, program.inputs().front());
  const data::Settings settings = given_settings(options.data, preprocess_settings(model));
  const bool told = !options.data.preprocess.empty() || !options.data.preprocess_file.empty();
  if (!sim::is_quantized(port.desc.dtype)) return std::nullopt;
  const Shape shape = network_shape(port);
  const auto p =
      data::preprocess_for({port.name, shape, takes_integers(model, port.name)}, settings);
  const bool fits = p.width > 0 && p.width * p.height * p.channels() == element_count(shape);
  if (settings.empty() || !fits) {
    if (told)
      throw Error(ErrorCode::Usage,
                  fmt::format("the input takes {}, which is no picture", to_string(shape)))
          .tensor(port.name)
          .remedy("Leave --preprocess out");
    if (fits && settings.empty())
      tell(
          "the file does not say how pictures are prepared: say it with --preprocess, if it takes "
          "any");
    return std::nullopt;
  }
  deploy::PictureInput pictures{p};
  const bool channels_first = p.layout == data::Layout::Nchw;
  const std::size_t rows = shape.size() == 4 && channels_first ? 2 : 1;
  pictures.row_stride = stride_of(port, rows);
  pictures.column_stride = stride_of(port, rows + 1);
  pictures.channel_stride = shape.size() == 4 ? stride_of(port, channels_first ? 1 : 3) : 0;
  return pictures;
}

Tensor renamed_input(const Port& port, const espdl::Constant& value, const Target& target) {
  Tensor stored(port.desc.dtype, port.desc.shape);
  sim::assign({value.data.dtype(), value.data.shape(), value.exponents}, value.data.bytes().data(),
              port.desc, stored.mutable_bytes().data(), target);
  return stored;
}

/// Samples in the order in which the chip runs them, streaming state and all.
class SampleMaker {
 public:
  explicit SampleMaker(const measure::BankPrograms& programs) : programs_(programs) {
    for (const sim::Program* program : programs.all()) frames_.emplace_back(*program);
  }

  void add(std::size_t bank, std::vector<Tensor> inputs) {
    const sim::Program& program = *programs_.all()[bank];
    sim::Program::Frame& frame = frames_[bank];
    deploy::Sample sample;
    sample.bank = bank;
    for (std::size_t i = 0; i < inputs.size(); ++i) frame.set(program.inputs()[i], inputs[i]);
    frame.run();
    for (const std::size_t output : program.outputs())
      sample.outputs.push_back(frame.tensor(output));
    sample.inputs = std::move(inputs);
    samples_.push_back(std::move(sample));
  }
  std::vector<deploy::Sample> take() { return std::move(samples_); }

 private:
  const measure::BankPrograms& programs_;
  std::deque<sim::Program::Frame> frames_;
  std::vector<deploy::Sample> samples_;
};

std::vector<Port> input_ports(const sim::Program& program) {
  std::vector<Port> ports;
  for (const std::size_t input : program.inputs()) ports.push_back(port_of(program, input));
  return ports;
}

/// The test values of the file, where it has them for all inputs, then those of --samples.
std::vector<deploy::Sample> samples_of(const ProjectOptions& options,
                                       const measure::BankPrograms& programs, const Tell& tell) {
  const sim::Program& program = programs.own();
  const espdl::Model& model = program.model();
  const std::vector<Port> own_ports = input_ports(program);
  SampleMaker maker(programs);
  std::vector<Tensor> tested;
  for (const Port& port : own_ports)
    for (const espdl::Constant& value : model.test_inputs)
      if (value.name == port.name && value.data.size() == element_count(port.desc.shape))
        tested.push_back(renamed_input(port, value, program.target()));
  if (tested.size() == own_ports.size()) maker.add(programs.all().size() - 1, std::move(tested));
  if (!options.data.path.empty()) {
    const Data data = open_data(options.data, outline(model), tell, preprocess_settings(model),
                                stored_classes(model));
    for (const std::size_t index : data.chosen) {
      const auto tensors = data.dataset->sample(index);
      const std::size_t bank = programs.choose(tensors);
      const std::vector<Port> ports = input_ports(*programs.all()[bank]);
      std::vector<Tensor> inputs;
      for (std::size_t i = 0; i < ports.size(); ++i)
        inputs.push_back(frames_of(ports[i], tensors[i], program.target()).front());
      maker.add(bank, std::move(inputs));
    }
  }
  return maker.take();
}

deploy::ProjectModel model_of(const ProjectOptions& options, espdl::Model model,
                              const espdl::Banks& banks, const Target& target, const Tell& tell) {
  deploy::ProjectModel made;
  made.model = std::move(model);
  for (const sim::Finding& finding : measure::check_model(made.model, target))
    if (finding.severity == sim::Severity::Defect)
      throw Error(ErrorCode::Illegal, finding.message)
          .node(finding.node)
          .tensor(finding.tensor)
          .remedy(finding.remedy.empty() ? "See espquant check" : finding.remedy);
  sim::Program program(made.model, target);
  measure::compute_in_planned_memory(program);
  made.pictures = pictures_of(options, program, tell);
  made.classes = class_names(options.data);
  if (made.classes.empty()) made.classes = stored_classes(made.model);
  if (options.app == deploy::App::SelfTest)
    made.samples = samples_of(options, measure::BankPrograms(program, banks), tell);
  return made;
}

}  // namespace

deploy::ProjectRequest project_request(const ProjectOptions& options, const Tell& tell) {
  deploy::ProjectRequest request;
  request.app = options.app;
  request.storage = options.storage;
  if (options.no_psram) request.has_psram = false;
  request.flash_megabytes = options.flash_megabytes;
  request.internal_ram = options.internal_ram;
  request.file = read_file(options.file.path);
  const auto add = [&](std::span<const std::byte> file, std::string name, bool in_package) {
    espdl::ReadOptions read = options.file.read_options();
    if (in_package) read.name.clear();
    espdl::Model model = espdl::read_model(file, read);
    const Target& target = options.file.target_to_run(model);
    if (request.target != nullptr && request.target != &target)
      throw Error(ErrorCode::Usage, fmt::format("the package holds models for {} and for {}",
                                                request.target->name, target.name))
          .remedy("Name one: --model");
    request.target = &target;
    if (espdl::parse_header(file).encrypted) request.key = read.key;
    if (!in_package) request.banks = options.file.load_banks(model);
    request.models.push_back(model_of(options, std::move(model), request.banks, target, tell));
    request.models.back().bytes = file.size();
    if (in_package) request.models.back().name_in_package = name;
    request.models.back().name = std::move(name);
  };
  if (!espdl::is_package(request.file)) {
    add(request.file, options.file.path.stem().string(), false);
    if (!request.banks.is_empty()) request.banks_file = read_file(*options.file.banks_file());
    return request;
  }
  const espdl::Package package = espdl::open_package(request.file);
  if (!options.file.name.empty()) package.find(options.file.name);
  for (const espdl::PackageEntry& entry : package.entries)
    if (options.file.name.empty() || entry.name == options.file.name) try {
        add(entry.file, entry.name, true);
      } catch (Error& error) {
        throw error.file(fmt::format("{}, {}", options.file.path.string(), entry.name));
      }
  return request;
}

}  // namespace espquant::job
