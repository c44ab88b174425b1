#include "deploy/templates.h"

#include <gtest/gtest.h>

#include "tests/support/errors.h"

namespace espquant::deploy {
namespace {

const TemplateValues kValues = {{{"chip", "esp32s3"}, {"size", "8"}},
                                {{"yes", true}, {"no", false}}};

TEST(Templates, TextsTakeThePlaceOfTheirNames) {
  EXPECT_EQ(rendered("{{chip}}: {{size}} {{size}}\n", kValues), "esp32s3: 8 8\n");
  EXPECT_EQ(rendered("no end of line {{chip}}", kValues), "no end of line esp32s3");
}

TEST(Templates, BlocksStayWhereTheirFlagIsSet) {
  EXPECT_EQ(rendered("a\n{{if yes}}\nb\n{{else}}\nc\n{{end}}\nd\n", kValues), "a\nb\nd\n");
  EXPECT_EQ(rendered("a\n{{if no}}\nb\n{{else}}\nc\n{{end}}\nd\n", kValues), "a\nc\nd\n");
  EXPECT_EQ(rendered("{{if no}}\n{{unknown}}\n{{end}}\n", kValues), "");
}

TEST(Templates, WhatIsNotKnownIsAFault) {
  for (const char* text : {"{{unknown}}\n", "{{if unknown}}\n{{end}}\n", "{{if yes}}\n",
                           "{{end}}\n", "{{else}}\n", "{{chip\n"})
    EXPECT_EQ(test::error_of([&] { rendered(text, kValues); }).code(), ErrorCode::Internal) << text;
  EXPECT_EQ(test::error_of([] { find_template("nothing"); }).code(), ErrorCode::Internal);
}

}  // namespace
}  // namespace espquant::deploy
