#pragma once

#include <gtest/gtest.h>

#include "espdl/model.h"

namespace espquant::espdl {

inline void expect_equal(const Constant& a, const Constant& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_TRUE(a.data.equals(b.data)) << a.name;
  EXPECT_EQ(a.exponents, b.exponents) << a.name;
  EXPECT_EQ(a.doc, b.doc) << a.name;
}

inline void expect_equal(const std::vector<Constant>& a, const std::vector<Constant>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) expect_equal(a[i], b[i]);
}

inline void expect_equal(const Node& a, const Node& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.op, b.op);
  EXPECT_EQ(a.inputs, b.inputs);
  EXPECT_EQ(a.outputs, b.outputs);
  ASSERT_EQ(a.attributes.size(), b.attributes.size());
  for (const auto& [name, value] : a.attributes) {
    SCOPED_TRACE(a.name + "." + name);
    ASSERT_TRUE(b.has(name));
    const AttributeValue& other = b.attributes.find(name)->second;
    ASSERT_EQ(value.index(), other.index());
    std::visit(
        [&other](const auto& v) {
          using T = std::decay_t<decltype(v)>;
          if constexpr (std::is_same_v<T, Constant>)
            expect_equal(v, std::get<T>(other));
          else
            EXPECT_EQ(v, std::get<T>(other));
        },
        value);
  }
}

inline void expect_equal(const Model& a, const Model& b) {
  EXPECT_EQ(a.name, b.name);
  EXPECT_EQ(a.producer, b.producer);
  EXPECT_EQ(a.producer_version, b.producer_version);
  EXPECT_EQ(a.doc, b.doc);
  EXPECT_EQ(a.ir_version, b.ir_version);
  EXPECT_EQ(a.model_version, b.model_version);
  EXPECT_EQ(a.opsets, b.opsets);
  EXPECT_EQ(a.metadata, b.metadata);
  EXPECT_EQ(a.inputs, b.inputs);
  EXPECT_EQ(a.outputs, b.outputs);
  ASSERT_EQ(a.nodes.size(), b.nodes.size());
  for (std::size_t i = 0; i < a.nodes.size(); ++i) expect_equal(a.nodes[i], b.nodes[i]);
  ASSERT_EQ(a.values.size(), b.values.size());
  for (std::size_t i = 0; i < a.values.size(); ++i) {
    EXPECT_EQ(a.values[i].name, b.values[i].name);
    EXPECT_EQ(a.values[i].dtype, b.values[i].dtype);
    EXPECT_EQ(a.values[i].shape, b.values[i].shape);
    EXPECT_EQ(a.values[i].exponents, b.values[i].exponents);
  }
  expect_equal(a.initializers, b.initializers);
  expect_equal(a.test_inputs, b.test_inputs);
  expect_equal(a.test_outputs, b.test_outputs);
}

}  // namespace espquant::espdl
