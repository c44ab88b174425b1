#pragma once

#include <string>
#include <utility>
#include <vector>

#include "sim/program.h"

namespace espquant::test {

/// A model of a single node, to be run on one chip or another:
///
///     OneNode("Add").input(int8({1, 2}), -3).input(int8({3, 4}), -3).output(DType::Int8, -3)
///         .run<std::int8_t>("esp32s3")
class OneNode {
 public:
  explicit OneNode(std::string op);

  /// The next input, an activation.
  OneNode& input(Tensor value, int exponent = 0);
  /// The next input, an initializer.
  OneNode& constant(Tensor value, int exponent = 0);
  /// The same with one exponent per output channel.
  OneNode& constant_per_channel(Tensor value, std::vector<int> exponents);
  /// The next input, not given.
  OneNode& absent();
  OneNode& attribute(std::string name, espdl::AttributeValue value);
  /// The table that the attribute "lut" names.
  OneNode& lut(Tensor table, int exponent);
  OneNode& output(DType dtype, int exponent = 0);

  const espdl::Model& model() const { return model_; }
  OneNode& options(sim::Options options);

  /// The outputs after one run on the inputs.
  std::vector<Tensor> outputs(std::string_view target = "esp32s3") const;
  std::vector<Tensor> outputs(const Target& target) const;
  /// Output 0 after one run.
  Tensor result(std::string_view target = "esp32s3") const { return outputs(target)[0]; }
  /// Its elements.
  template <typename T>
  std::vector<T> run(std::string_view target = "esp32s3") const {
    return run<T>(find_target(target));
  }
  template <typename T>
  std::vector<T> run(const Target& target) const {
    const Tensor out = outputs(target)[0];
    const auto values = out.data<T>();
    return {values.begin(), values.end()};
  }
  /// Names of the faults that the node meets.
  std::vector<std::string> faults(std::string_view target = "esp32s3") const;
  std::vector<std::string> faults(const Target& target) const;

 private:
  void add_initializer(std::string name, Tensor value, int exponent);

  espdl::Model model_;
  std::vector<std::pair<std::string, Tensor>> inputs_;
  sim::Options options_;
};

/// Tensors of one axis, or of the given shape.
Tensor int8(std::initializer_list<int> values, Shape shape = {});
Tensor int16(std::initializer_list<int> values, Shape shape = {});
Tensor int64(std::initializer_list<std::int64_t> values, Shape shape = {});
Tensor float32(std::initializer_list<float> values, Shape shape = {});
/// 0, 1, 2, ... wrapping as the type does.
Tensor counting(DType dtype, Shape shape);

using Ints8 = std::vector<std::int8_t>;
using Ints16 = std::vector<std::int16_t>;
using Floats = std::vector<float>;

}  // namespace espquant::test
