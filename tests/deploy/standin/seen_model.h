#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dl_model_base.hpp"
#include "espdl/model.h"
#include "sim/program.h"

/// A model as ESP-DL holds it: tensors of integers and exponents, which an application may change.
namespace espquant::test::standin {

class SeenModel {
 public:
  explicit SeenModel(espdl::Model model);
  ~SeenModel();

  /// As it was read.
  const espdl::Model& model() const { return model_; }
  const Target& target() const { return target_; }
  /// What the runtime would compute now: exponents, parameters and tables as they stand in its
  /// tensors, biases taken out of the chip's packing.
  espdl::Model as_it_stands() const;

  /// An activation, or a parameter that is an input of a node; null where there is none.
  dl::TensorBase* tensor(const std::string& name);
  /// One for each node; those with tables are dl::module::LUT.
  std::vector<dl::module::Module*> modules() const;

  /// Nodes from `begin` to before `end`. The first of all looks at what changed, and packs biases
  /// once, as ESP-DL does on the ESP32-S3.
  void run(std::size_t begin, std::size_t end);

  std::map<std::string, dl::TensorBase*> inputs, outputs;

 private:
  struct Held {
    std::vector<std::byte> bytes;
    std::unique_ptr<dl::TensorBase> tensor;
  };
  struct Table {
    std::string node;
    std::size_t constant;
    Held held;
  };

  Held hold(DType dtype, std::span<const std::byte> bytes, std::int64_t count,
            const std::vector<int>& exponents);
  bool computes_by_table(const espdl::Node& n) const;
  void pack_biases();
  void prepare();

  espdl::Model model_;
  const Target& target_;
  std::map<std::string, Held> tensors_;
  std::vector<Table> tables_;
  std::vector<std::unique_ptr<dl::module::Module>> modules_;
  /// By name: whether the bias is one by channel.
  std::map<std::string, bool> packed_;
  bool ran_ = false;
  std::optional<espdl::Model> running_;
  std::unique_ptr<sim::Program> program_;
  std::unique_ptr<sim::Program::Frame> frame_;
};

}  // namespace espquant::test::standin

namespace dl {

class Model;
/// What a Model of the stand-in runs.
espquant::test::standin::SeenModel& seen_model(Model& model);

}  // namespace dl
