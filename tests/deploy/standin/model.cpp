#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "base/file.h"
#include "cost/memory_plan.h"
#include "dl_model_base.hpp"
#include "espdl/reader.h"
#include "sim/program.h"
#include "tests/deploy/standin/board.h"

namespace dl {
namespace {

using namespace espquant;
namespace standin = espquant::test::standin;

std::uint32_t word_at(const char* bytes) {
  std::uint32_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

/// The bytes at an address in flash: how many there are stands in the header.
std::vector<std::byte> bytes_at(const char* address) {
  const bool package = std::memcmp(address, "PDL3", 4) == 0;
  constexpr std::size_t kHeader = 16;
  const std::size_t size = package ? word_at(address + 20) : kHeader + word_at(address + 8);
  const auto* bytes = reinterpret_cast<const std::byte*>(address);
  return {bytes, bytes + size};
}

std::vector<std::byte> stored_bytes(const char* where, fbs::model_location_type_t location) {
  if (location == fbs::MODEL_LOCATION_IN_FLASH_RODATA) {
    if (reinterpret_cast<std::uintptr_t>(where) % 16 != 0)
      throw std::runtime_error("the model is not aligned");
    return bytes_at(where);
  }
  if (location == fbs::MODEL_LOCATION_IN_FLASH_PARTITION) {
    if (std::string(where) != "model") throw std::runtime_error("there is no such partition");
    return read_file(standin::setting("STANDIN_PARTITION"));
  }
  constexpr std::string_view kMount = "/sdcard";
  return read_file(standin::setting("STANDIN_SDCARD") + (where + kMount.size()));
}

espdl::Model read(const char* where, const char* name, fbs::model_location_type_t location,
                  const uint8_t* key) {
  espdl::ReadOptions options;
  if (name != nullptr) options.name = name;
  if (key != nullptr) {
    options.key.emplace();
    std::memcpy(options.key->data(), key, options.key->size());
  }
  return espdl::read_model(stored_bytes(where, location), options);
}

}  // namespace

struct Model::Simulated {
  espdl::Model model;
  sim::Program program;
  sim::Program::Frame frame;
  std::vector<std::unique_ptr<TensorBase>> tensors;
  std::map<std::string, TensorBase*> inputs, outputs;
  std::size_t ram = 0;

  explicit Simulated(espdl::Model read)
      : model(std::move(read)),
        program(model, sim::target_of(model)),
        frame(program, true),
        ram(cost::plan_memory(model, program.target()).ram_bytes()) {
    add(program.inputs(), inputs);
    add(program.outputs(), outputs);
    standin::ram_taken() += ram;
  }
  ~Simulated() { standin::ram_taken() -= ram; }

  void add(std::span<const std::size_t> indices, std::map<std::string, TensorBase*>& by_name) {
    for (const std::size_t i : indices) {
      const auto& desc = program.desc(i);
      tensors.push_back(std::make_unique<TensorBase>(frame.bytes(i).data(),
                                                     static_cast<int>(element_count(desc.shape)),
                                                     static_cast<dtype_t>(desc.dtype)));
      by_name[program.tensor_name(i)] = tensors.back().get();
    }
  }

  void run() {
    frame.run();
    const std::string fault = standin::setting("STANDIN_FAULT");
    if (fault.empty()) return;
    const auto colon = fault.rfind(':');
    const std::size_t tensor = program.tensor_index(fault.substr(0, colon));
    const std::size_t at =
        std::stoul(fault.substr(colon + 1)) * size_of(program.desc(tensor).dtype);
    auto& byte = frame.bytes(tensor)[at];
    byte = static_cast<std::byte>(static_cast<unsigned>(byte) + 1);
  }
};

Model::Model(const char* where, fbs::model_location_type_t location, int, memory_manager_t,
             const uint8_t* key, bool, const std::map<std::string, std::vector<int>>&)
    : simulated_(std::make_unique<Simulated>(read(where, nullptr, location, key))) {}

Model::Model(const char* where, const char* model_name, fbs::model_location_type_t location, int,
             memory_manager_t, const uint8_t* key, bool,
             const std::map<std::string, std::vector<int>>&)
    : simulated_(std::make_unique<Simulated>(read(where, model_name, location, key))) {}

Model::~Model() = default;

void Model::run(runtime_mode_t) { simulated_->run(); }

esp_err_t Model::test() {
  Simulated& s = *simulated_;
  for (const auto& value : s.model.test_inputs)
    s.frame.set(s.program.tensor_index(value.name), value.data);
  s.run();
  return std::all_of(s.model.test_outputs.begin(), s.model.test_outputs.end(),
                     [&](const espdl::Constant& value) {
                       return s.frame.tensor(s.program.tensor_index(value.name)).equals(value.data);
                     })
             ? ESP_OK
             : ESP_FAIL;
}

void Model::reset() {}

std::map<std::string, module_info> Model::get_module_info() {
  std::map<std::string, module_info> info;
  constexpr uint32_t kStep = 37;
  uint32_t latency = 0, total = 0;
  for (const auto& node : simulated_->model.nodes) {
    latency += kStep;
    total += latency;
    info[node.name] = {node.op, latency};
  }
  info["total"] = {"", total};
  return info;
}

std::map<std::string, TensorBase*>& Model::get_inputs() { return simulated_->inputs; }
std::map<std::string, TensorBase*>& Model::get_outputs() { return simulated_->outputs; }
TensorBase* Model::get_input(const std::string& name) { return simulated_->inputs.at(name); }
TensorBase* Model::get_output(const std::string& name) { return simulated_->outputs.at(name); }

}  // namespace dl
