#include "recipe/recipe.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "recipe/embedded_recipes.h"
#include "tests/support/errors.h"
#include "tests/support/source_dir.h"
#include "tests/support/temporary_folder.h"

namespace espquant::recipe {
namespace {

using test::error_of;

Recipe parse(std::string_view toml) { return parse_recipe(toml, "mine.toml"); }

Recipe with(Recipe recipe, const std::vector<std::string>& assignments) {
  apply_overrides(recipe, assignments);
  return recipe;
}

/// A recipe in which nothing has its default.
Recipe unusual() {
  Recipe r;
  r.name = "mine-1.0";
  r.description = "quotes \" and \\, a line\nbreak, \x01 and \u00e9";
  r.target = "esp32p4";
  r.calibration = {quant::Method::Percentile, 99.5, quant::Scope::Layer, 256, 42};
  r.quantization = {8,
                    8,
                    0.25,
                    Granularity::Channel,
                    false,
                    false,
                    false,
                    true,
                    BiasCorrection::Analytic,
                    true,
                    2,
                    1e-4,
                    {"fuse_hard_swish", "fuse_gelu"}};
  r.equalization = {true, 10, 0, 1, Relu6::Keep, true, 0.1, true, 1e-9, false, false, false};
  r.finetune = {true, 7, 64, 0.5, 9, false, 3, 0.25, 0.125, 0.75};
  r.mixed.enabled = true;
  r.mixed.max_16bit = 3;
  r.mixed.budget_kb = 12.5;
  r.mixed.budget_ms = 2;
  r.mixed.accuracy_within = 0.005;
  r.mixed.noise_target = 0.01;
  r.layers = {{"/head/*", 16, 8, {}, {}}, {"/stem/Conv", {}, {}, quant::Method::Percentile, 99.0}};
  return r;
}

void expect_refused(const Error& error, const std::vector<std::string>& parts,
                    ErrorCode code = ErrorCode::Usage) {
  EXPECT_EQ(error.code(), code);
  for (const std::string& part : parts)
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos)
        << part << " in " << error.what();
}

TEST(RecipeText, NothingSaidIsTheDefault) { EXPECT_EQ(parse(""), Recipe()); }

TEST(RecipeText, ReadsKeysOfEveryKind) {
  const Recipe r = parse(R"(
      name = "mine"
      [calibration]
      method = "kl"
      percentile = 99
      samples = 64
      [quantization]
      scale_layers = false
      disabled_passes = ["fuse_gelu"]
      [mixed]
      enabled = true
      budget_kb = 8
      [[layer]]
      match = "/a/*"
      bits = 16
      [[layer]]
      match = "b"
      method = "percentile"
      percentile = 99.9)");
  EXPECT_EQ(r.name, "mine");
  EXPECT_EQ(r.calibration.method, quant::Method::Entropy);
  EXPECT_EQ(r.calibration.percentile, 99);
  EXPECT_EQ(r.calibration.samples, 64);
  EXPECT_FALSE(r.quantization.scale_layers);
  EXPECT_EQ(r.quantization.disabled_passes, std::vector<std::string>{"fuse_gelu"});
  EXPECT_EQ(r.mixed.budget_kb, 8);
  EXPECT_FALSE(r.mixed.max_16bit);
  ASSERT_EQ(r.layers.size(), 2U);
  EXPECT_EQ(r.layers[0], (Recipe::LayerRule{"/a/*", 16, {}, {}, {}}));
  EXPECT_EQ(r.layers[1], (Recipe::LayerRule{"b", {}, {}, quant::Method::Percentile, 99.9}));
}

TEST(RecipeText, WrittenRecipesReadBackTheSame) {
  EXPECT_EQ(parse(to_toml(Recipe())), Recipe());
  EXPECT_EQ(parse(to_toml(unusual())), unusual());
  EXPECT_EQ(to_toml(parse(to_toml(unusual()))), to_toml(unusual()));
}

TEST(RecipeText, WritesUnsetKeysNot) {
  Recipe r = unusual();
  r.mixed.budget_kb.reset();
  EXPECT_EQ(to_toml(r).find("budget_kb"), std::string::npos);
  EXPECT_NE(to_toml(r).find("\nmax_16bit = 3\n"), std::string::npos);
  EXPECT_EQ(parse(to_toml(r)), r);
}

TEST(RecipeText, JsonHoldsTheSameValues) {
  Recipe r;
  r.name = "a\"b";
  r.layers = {{"x", 16, {}, {}, {}}};
  const std::string json = to_json(r);
  EXPECT_TRUE(json.starts_with(R"({"name": "a\"b", "description": "", "target": "", "espdl": "", )"
                               R"("calibration": )"
                               R"({"method": "auto", "percentile": 99.99, "scope": "tensor")"))
      << json;
  EXPECT_TRUE(json.ends_with(R"("layer": [{"match": "x", "bits": 16}]})")) << json;
}

TEST(RecipeText, UnknownKeysAreCorrected) {
  expect_refused(error_of([] { parse("[calibration]\nmehtod = \"kl\""); }),
                 {"mine.toml", "line 2", "calibration.mehtod", "'calibration.method'"});
  expect_refused(error_of([] { parse("[calibration]\nbits = 16"); }), {"'quantization.bits'"});
  expect_refused(error_of([] { parse("percentile = 99"); }), {"'calibration.percentile'"});
  expect_refused(error_of([] { parse("[equalisation]"); }), {"'equalization'"});
  expect_refused(error_of([] { parse("[xyzzy]"); }), {"xyzzy", "Known: ", "calibration", "mixed"});
  expect_refused(error_of([] { parse("[[layer]]\nmatch = \"a\"\nbit = 16"); }),
                 {"layer[0].bit", "'layer[0].bits'"});
}

TEST(RecipeText, WrongTypesAreNamed) {
  expect_refused(error_of([] { parse("calibration = 3"); }), {"calibration", "a table"});
  expect_refused(error_of([] { parse("[calibration]\nsamples = -1"); }),
                 {"line 2: calibration.samples: -1, expected 0 to"});
  expect_refused(error_of([] { parse("[calibration]\nsamples = 1.5"); }),
                 {"line 2", "calibration.samples", "whole number"});
  expect_refused(error_of([] { parse("[calibration]\npercentile = 99"); }),
                 {"calibration.percentile", "no effect"});
  expect_refused(error_of([] { parse("[calibration]\npercentile = \"99\""); }),
                 {"calibration.percentile", "a string, expected a number"});
  expect_refused(error_of([] { parse("[quantization]\nscale_layers = 1"); }),
                 {"quantization.scale_layers", "true or false"});
  expect_refused(error_of([] { parse("[mixed]\nenabled = true\nlayers = \"a\""); }),
                 {"mixed.layers", "a list of strings"});
  expect_refused(error_of([] { parse("[mixed]\nenabled = true\nlayers = [3]"); }),
                 {"mixed.layers", "a whole number, expected a string"});
  expect_refused(error_of([] { parse("layer = 3"); }), {"[[layer]]"});
  expect_refused(error_of([] { parse("layer = [3]"); }), {"layer[0]", "[[layer]]"});
}

TEST(RecipeText, UnknownNamesOfValuesAreCorrected) {
  expect_refused(error_of([] { parse("[calibration]\nmethod = \"entropi\""); }),
                 {"calibration.method", "minmax", "Did you mean 'entropy'?"});
  expect_refused(error_of([] { parse("[equalization]\nenabled = true\nrelu6 = \"relu\""); }),
                 {"equalization.relu6", "auto, keep, to_relu"});
  expect_refused(error_of([] { parse("target = \"esp32s33\""); }), {"target", "'esp32s3'"});
  expect_refused(error_of([] { parse("espdl = \"3.3.8\""); }), {"espdl", "'3.3.8'", "3.3.9"});
  expect_refused(error_of([] { parse("[quantization]\ndisabled_passes = [\"fuse_swissh\"]"); }),
                 {"quantization.disabled_passes", "'fuse_swish'"});
}

TEST(RecipeText, BrokenTomlSaysWhere) {
  const auto refused = [](std::string_view toml) {
    expect_refused(error_of([&] { parse(toml); }), {"mine.toml", "line 2"});
  };
  refused("\n[calibration");
  refused("name = \"a\"\nname = \"b\"");
  refused("\nname = \"\xff\"");
  refused("\nname = " + std::string(100000, '['));
}

TEST(RecipeText, NumbersOutsideTheirRangeAreRefused) {
  const auto refused = [](const char* assignment, const char* expected) {
    const std::string key = std::string(assignment).substr(0, std::string(assignment).find('='));
    Recipe base;
    base.equalization.enabled = base.mixed.enabled = true;
    base.mixed.max_16bit = 4;
    expect_refused(error_of([&] { with(base, {assignment}); }), {key, expected});
  };
  refused("calibration.percentile=20", "50 to 100");
  refused("calibration.percentile=nan", "50 to 100");
  refused("calibration.samples=-1", "0 to");
  refused("quantization.bits=12", "8 or 16");
  refused("quantization.bits=4294967304", "8 or 16");
  refused("quantization.alignment_cost=0.5", "1 or more");
  refused("equalization.iterations=0", "1 to");
  refused("equalization.value_threshold=-0.1", "0 or more");
  refused("equalization.level=3", "1 or 2");
  refused("mixed.max_16bit=0", "1 to");
  refused("mixed.budget_kb=-1", "0 or more");
  refused("mixed.budget_ms=inf", "0 or more");
  refused("mixed.accuracy_within=1.5", "0 to 1");
  refused("mixed.noise_target=2", "0 to 1");
}

TEST(RecipeCheck, NamesMustSuitFiles) {
  for (const char* name : {"../up", "a b", ".hidden", "a/b"}) {
    Recipe r;
    r.name = name;
    expect_refused(error_of([&] { check_recipe(r); }), {"name", name});
  }
}

TEST(RecipeCheck, MixedNeedsSomethingToGoBy) {
  expect_refused(error_of([] { parse("[mixed]\nenabled = true"); }),
                 {"mixed.enabled", "max_16bit"});
}

TEST(RecipeCheck, ListExcludesBudget) {
  expect_refused(
      error_of([] { parse("[mixed]\nenabled = true\nmax_16bit = 4\nlayers = [\"a\"]"); }),
      {"mixed.layers", "budget"});
}

TEST(RecipeCheck, MixedAddsNothingTo16Bits) {
  expect_refused(
      error_of([] { parse("[quantization]\nbits = 16\n[mixed]\nenabled = true\nmax_16bit = 4"); }),
      {"mixed.enabled", "quantization.bits"});
}

TEST(RecipeCheck, SectionsSayWhetherTheyAreOn) {
  expect_refused(error_of([] { parse("[mixed]\nmax_16bit = 4"); }), {"line 1", "mixed.enabled"});
  expect_refused(error_of([] { parse("[equalization]\nlevel = 1"); }), {"equalization.enabled"});
  EXPECT_FALSE(parse("[mixed]\nenabled = false\nmax_16bit = 4").mixed.enabled);
}

TEST(RecipeCheck, LayerRulesMustSaySomething) {
  expect_refused(error_of([] { parse("[[layer]]\nbits = 16"); }), {"layer[0]", "match"});
  expect_refused(error_of([] { parse("[[layer]]\nmatch = \"a\""); }), {"layer[0]", "bits"});
  expect_refused(error_of([] { parse("[[layer]]\nmatch = \"a\"\nbits = 8\nweight_bits = 16"); }),
                 {"layer[0] ('a').weight_bits", "bits = 16"});
  expect_refused(error_of([] { parse("[[layer]]\nmatch = \"a\"\nbits = 9"); }), {"8 or 16"});
  expect_refused(error_of([] { parse("[[layer]]\nmatch = \"a\"\npercentile = 99"); }),
                 {"layer[0] ('a').percentile", "method = \"percentile\""});
}

TEST(RecipeOverrides, AShareGoesWithTheMethodThatTookIt) {
  const Recipe kept =
      with(Recipe(), {"calibration.method=percentile", "calibration.percentile=99"});
  EXPECT_EQ(kept.calibration.percentile, 99);
  EXPECT_EQ(with(kept, {"calibration.method=kl"}), with(Recipe(), {"calibration.method=kl"}));
  expect_refused(error_of([] { with(Recipe(), {"calibration.percentile=99"}); }),
                 {"calibration.percentile", "no effect"});
}

TEST(RecipeOverrides, SetKeysOfEveryKind) {
  const Recipe r = with(Recipe(), {"calibration.method=kl", "calibration.samples=99",
                                   "quantization.scale_layers=false", "name = mine",
                                   "description=\"a b\"", "mixed.enabled=true",
                                   "mixed.layers=/a/*, b", "quantization.bias_correction=none"});
  EXPECT_EQ(r.calibration.method, quant::Method::Entropy);
  EXPECT_EQ(r.calibration.samples, 99);
  EXPECT_FALSE(r.quantization.scale_layers);
  EXPECT_EQ(r.quantization.bias_correction, BiasCorrection::None);
  EXPECT_EQ(r.name, "mine");
  EXPECT_EQ(r.description, "a b");
  EXPECT_EQ(r.mixed.layers, (std::vector<std::string>{"/a/*", "b"}));
  EXPECT_EQ(with(r, {"mixed.layers=[\"x,y\"]"}).mixed.layers, std::vector<std::string>{"x,y"});
}

TEST(RecipeOverrides, AnEmptyValueUnsets) {
  const Recipe mixed = find_recipe("mixed");
  const Recipe r = with(mixed, {"mixed.max_16bit=", "mixed.budget_kb=20"});
  EXPECT_FALSE(r.mixed.max_16bit);
  EXPECT_EQ(r.mixed.budget_kb, 20);
}

TEST(RecipeOverrides, AddLayerRules) {
  const Recipe r = with(Recipe(), {"layer./stem/stem.0/Conv.bits=16",
                                   "layer.head*.method=percentile", "layer.head*.percentile=99.5"});
  ASSERT_EQ(r.layers.size(), 2U);
  EXPECT_EQ(r.layers[0], (Recipe::LayerRule{"/stem/stem.0/Conv", 16, {}, {}, {}}));
  EXPECT_EQ(r.layers[1], (Recipe::LayerRule{"head*", {}, {}, quant::Method::Percentile, 99.5}));
}

TEST(RecipeOverrides, RefusedOnesChangeNothing) {
  Recipe r = find_recipe("balanced");
  const auto refused = [&](const char* assignment, const std::vector<std::string>& parts) {
    const std::vector<std::string> both{"calibration.seed=7", assignment};
    expect_refused(error_of([&] { apply_overrides(r, both); }), parts);
    EXPECT_EQ(r, find_recipe("balanced"));
  };
  refused("calibration.method", {"key=value"});
  refused("calibration.mehtod=kl", {"'calibration.method'"});
  refused("calibration.method=kk", {"calibration.method: 'kk'"});
  refused("calibration.samples=", {"calibration.samples"});
  refused("calibration.samples=3\nname=\"x\"", {"calibration.samples"});
  refused("description=\xff", {"UTF-8"});
  refused("layer.bits=16", {"names no layer"});
  refused("layer.a.bit=16", {"layer.a.bit", "bits"});
  refused("layer.a.match=b", {"layer.a.match"});
  refused("mixed.max_16bit=2", {"mixed.max_16bit has no effect", "mixed.enabled=true"});
}

TEST(Recipes, DefaultsAreTheRecipeInt8) {
  Recipe plain = find_recipe("int8");
  plain.name = plain.description = "";
  EXPECT_EQ(plain, Recipe());
}

TEST(Recipes, AreCalledAsTheirFiles) {
  for (const EmbeddedText& text : embedded_recipes()) {
    EXPECT_EQ(find_recipe(text.name).name, text.name);
    EXPECT_NE(find_recipe(text.name).description, "");
    EXPECT_EQ(find_recipe_text(text.name), text.text);
    std::ostringstream file;
    file << std::ifstream(test::source_dir() / "recipes" / (std::string(text.name) + ".toml"))
                .rdbuf();
    EXPECT_EQ(text.text, file.str());
  }
}

TEST(Recipes, DoWhatTheirNamesSay) {
  const Recipe::Equalization e = find_recipe("balanced").equalization;
  EXPECT_TRUE(e.enabled);
  EXPECT_EQ(e.iterations, 4);
  EXPECT_EQ(e.value_threshold, 0.4);
  EXPECT_EQ(e.level, 2);
  EXPECT_EQ(e.relu6, Relu6::Auto);
  EXPECT_TRUE(find_recipe("mixed").mixed.enabled);
  EXPECT_EQ(find_recipe("mixed").mixed.max_16bit, 4);
  EXPECT_EQ(find_recipe("int16").quantization.bits, 16);
  EXPECT_EQ(find_recipe("w8a16").quantization.weight_bits, 8);
}

TEST(Recipes, UnknownOnesAreCorrected) {
  expect_refused(error_of([] { find_recipe("balancd"); }), {"'balanced'"});
  expect_refused(error_of([] { find_recipe("xyzzyxyzzy"); }),
                 {"int8, mixed, balanced, finetune, w8a16, int16"});
  expect_refused(error_of([] { find_recipe("/nowhere/mine.toml"); }), {"/nowhere/mine.toml"},
                 ErrorCode::Io);
}

TEST(Recipes, FilesWithoutANameAreCalledAsTheFile) {
  const test::TemporaryFolder folder;
  const std::string path = folder.path("my recipe.toml");
  std::ofstream(path) << "[quantization]\nbits = 16\n";
  const Recipe r = find_recipe(path);
  EXPECT_EQ(r.name, "my_recipe");
  EXPECT_EQ(r.quantization.bits, 16);
  std::ofstream(path) << "[quantization]\nbits = 7\n";
  expect_refused(error_of([&] { find_recipe(path); }), {path, "quantization.bits"});
}

/// What a default recipe says of `path`; "none" where it is unset.
std::string default_of(const std::string& path) {
  const auto dot = path.find('.');
  const std::string section = dot == std::string::npos ? "" : "[" + path.substr(0, dot) + "]\n";
  std::string text = to_toml(Recipe());
  text = text.substr(text.find(section));
  text = "\n" + text.substr(0, text.find("\n\n")) + "\n";
  const std::string key = "\n" + path.substr(dot + 1) + " = ";
  const auto at = text.find(key);
  if (at == std::string::npos) return "none";
  const auto begin = at + key.size();
  return "`" + text.substr(begin, text.find('\n', begin) - begin) + "`";
}

TEST(Recipes, EveryKeyAndItsDefaultIsDocumented) {
  std::ostringstream page;
  page << std::ifstream(test::source_dir() / "docs/recipes.md").rdbuf();
  for (const std::string& key : recipe_keys()) {
    const std::string row = "| `" + key + "` | " + default_of(key) + " |";
    EXPECT_NE(page.str().find(row), std::string::npos) << row;
  }
}

const std::vector<std::string> kNames = {"/stem/Conv", "/blocks/0/Conv", "/blocks/1/Conv", "head"};

TEST(LayerPatterns, OfTheNetworkAreAccepted) {
  Recipe r;
  r.mixed.layers = {"/stem/Conv", "/blocks/*"};
  r.layers = {{"h??d", 16, {}, {}, {}}};
  EXPECT_NO_THROW(check_layer_patterns(r, kNames));
}

TEST(LayerPatterns, ThatMatchNothingAreCorrected) {
  const auto refused = [](const char* pattern, const char* remedy) {
    Recipe listed, ruled;
    listed.mixed.layers = {pattern};
    ruled.layers = {{pattern, 16, {}, {}, {}}};
    expect_refused(error_of([&] { check_layer_patterns(listed, kNames); }),
                   {"mixed.layers", pattern, remedy});
    expect_refused(error_of([&] { check_layer_patterns(ruled, kNames); }),
                   {"layer[0].match", pattern, remedy});
  };
  refused("/stm/Conv", "'/stem/Conv'");
  refused("/block/*", "'/blocks/*'");
  refused("*xyzzy*", "espquant inspect");
}

TEST(LayerRules, TheLaterOneWinsMemberByMember) {
  Recipe r;
  r.layers = {{"*", 16, 8, quant::Method::Percentile, 99.0},
              {"/blocks/*", 8, {}, {}, {}},
              {"out", {}, {}, quant::Method::MinMax, {}}};
  const auto rule = [&](const std::vector<std::string>& names) { return layer_rule_for(r, names); };
  EXPECT_EQ(rule({"head"}), (Recipe::LayerRule{"", 16, 8, quant::Method::Percentile, 99.0}));
  EXPECT_EQ(rule({"/blocks/0/Conv", "out"}),
            (Recipe::LayerRule{"", 8, 8, quant::Method::MinMax, 99.0}));
  r.layers.erase(r.layers.begin());
  EXPECT_EQ(rule({"head"}), Recipe::LayerRule());
}

}  // namespace
}  // namespace espquant::recipe
