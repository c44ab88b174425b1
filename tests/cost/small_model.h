#pragma once

#include <string>
#include <vector>

#include "espdl/model.h"

namespace espquant::test {

/// Models of int8 tensors, one node after the other:
///
///     SmallModel().input("x", {1, 4, 4, 16}).node("Relu", {"x"}, "y", {1, 4, 4, 16}).output("y")
class SmallModel {
 public:
  SmallModel& input(const std::string& name, Shape shape, DType dtype = DType::Int8) {
    value(name, std::move(shape), dtype);
    model_.inputs.push_back(name);
    return *this;
  }
  SmallModel& output(const std::string& name) {
    model_.outputs.push_back(name);
    return *this;
  }
  /// A node named as its output.
  SmallModel& node(const std::string& op, std::vector<std::string> inputs, const std::string& out,
                   Shape shape, DType dtype = DType::Int8) {
    value(out, std::move(shape), dtype);
    espdl::Node node;
    node.name = out;
    node.op = op;
    node.inputs = std::move(inputs);
    node.outputs = {out};
    model_.nodes.push_back(std::move(node));
    return *this;
  }
  /// Of the node before.
  SmallModel& attribute(const std::string& name, espdl::AttributeValue value) {
    model_.nodes.back().attributes.insert_or_assign(name, std::move(value));
    return *this;
  }
  SmallModel& constant(const std::string& name, DType dtype, Shape shape,
                       std::vector<int> exponents = {0}) {
    model_.initializers.push_back(
        {name, Tensor(dtype, std::move(shape)), std::move(exponents), ""});
    return *this;
  }

  const espdl::Model& model() const { return model_; }

 private:
  void value(const std::string& name, Shape shape, DType dtype) {
    model_.values.push_back({name, dtype, std::move(shape), {0}});
  }

  espdl::Model model_;
};

}  // namespace espquant::test
