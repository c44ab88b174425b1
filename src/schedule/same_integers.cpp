#include "schedule/same_integers.h"

#include <fmt/format.h>

#include "base/random.h"
#include "schedule/fragment.h"
#include "sim/program.h"

namespace espquant::schedule {
namespace {

/// What a Conv, an exponential and a comparison all can take.
constexpr float kLargestFloat = 4;

Tensor random_tensor(const sim::TensorDesc& desc, Random& random) {
  Tensor tensor(desc.dtype, desc.shape);
  if (desc.dtype == DType::Float32) {
    for (float& x : tensor.mutable_data<float>()) x = random.uniform(-kLargestFloat, kLargestFloat);
    return tensor;
  }
  for (std::byte& b : tensor.mutable_bytes()) b = static_cast<std::byte>(random.next() & 0xff);
  return tensor;
}

/// One of the two, with every activation readable.
class Side {
 public:
  Side(const espdl::Model& model, const Target& target)
      : program_(model, target), frame_(program_, true) {}

  void set(const std::string& name, const Tensor& value) {
    frame_.set(program_.tensor_index(name), value);
  }
  void run() { frame_.run(); }
  Tensor get(std::string_view name) const { return frame_.tensor(program_.tensor_index(name)); }
  const sim::TensorDesc& desc(std::string_view name) const {
    return program_.desc(program_.tensor_index(name));
  }

 private:
  sim::Program program_;
  sim::Program::Frame frame_;
};

}  // namespace

void require_same_integers(const espdl::Model& before, const espdl::Model& after,
                           const Target& target, std::int64_t frames) {
  Side left(before, target), right(after, target);
  std::vector<std::string> compared = before.outputs;
  for (const auto& test : before.test_outputs) compared.push_back(test.name);
  const auto compare = [&](std::string_view on) {
    left.run();
    right.run();
    for (const auto& name : compared)
      if (!left.get(name).equals(right.get(name)))
        throw Error(ErrorCode::Internal,
                    fmt::format("the optimized model computes other integers {}", on))
            .tensor(name)
            .remedy("This is a fault of espquant: please report it with the command and the model");
  };
  const auto set = [&](const std::string& name, const Tensor& value) {
    left.set(name, value);
    right.set(name, value);
  };
  bool has_tests = !before.test_inputs.empty();
  for (const auto& name : before.inputs) {
    const auto at = std::find_if(before.test_inputs.begin(), before.test_inputs.end(),
                                 [&](const auto& test) { return test.name == name; });
    has_tests = has_tests && at != before.test_inputs.end() &&
                at->data.dtype() == left.desc(name).dtype &&
                at->data.shape() == left.desc(name).shape;
    if (has_tests) set(name, at->data);
  }
  if (has_tests) compare("on the test values");
  Random random(1);
  for (std::int64_t frame = 0; frame < frames; ++frame) {
    for (const auto& name : before.inputs) set(name, random_tensor(left.desc(name), random));
    compare("on random inputs");
  }
}

}  // namespace espquant::schedule
