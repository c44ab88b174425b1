#include "target/release.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "target/target.h"
#include "tests/support/errors.h"

namespace espquant {
namespace {

using test::error_of;

TEST(Release, AreOrderedByAge) {
  const auto releases = all_releases();
  for (std::size_t i = 1; i < releases.size(); ++i) EXPECT_LT(releases[i - 1], releases[i]);
  EXPECT_EQ(newest_release(), releases.back());
  EXPECT_LT(find_release("3.3.9"), find_release("3.3.10"));
}

TEST(Release, HasWhatItOrAnOlderOneBrought) {
  EXPECT_FALSE(find_release("3.3.10").has(Feature::W8A16));
  EXPECT_TRUE(find_release("3.3.11").has(Feature::W8A16));
  EXPECT_TRUE(newest_release().has(Feature::W8A16));
}

TEST(Release, EveryFeatureIsDescribed) {
  std::set<std::string_view> names;
  for (const FeatureFact& fact : all_features()) {
    EXPECT_EQ(&fact_of(fact.feature), &fact);
    EXPECT_TRUE(names.insert(fact.name).second) << fact.name;
    EXPECT_GT(fact.since, all_releases().front()) << fact.name;
  }
}

TEST(Release, UnknownVersionsAreRefused) {
  const Error none = error_of([] { find_release("3.4"); });
  EXPECT_EQ(none.code(), ErrorCode::Usage);
  EXPECT_NE(none.message().find("newer"), std::string::npos) << none.message();
  EXPECT_NE(none.remedy().find(newest_release().version), std::string::npos);
  for (const char* version : {"", "3.3.8", "latest", "3..9", "v3.3.9", "3.3.9.", "99999999999.1"}) {
    const Error error = error_of([&] { find_release(version); });
    EXPECT_EQ(error.code(), ErrorCode::Usage) << version;
    EXPECT_NE(error.remedy().find("3.3.9, 3.3.10"), std::string::npos) << error.remedy();
  }
}

TEST(Target, IsTheSameChipUnderAnotherRelease) {
  const Target& newest = find_target("esp32-P4");
  EXPECT_EQ(newest.release, newest_release());
  const Target& old = newest.under(find_release("3.3.9"));
  EXPECT_EQ(old.name, newest.name);
  EXPECT_EQ(old.release.version, "3.3.9");
  EXPECT_EQ(&old.under(newest_release()), &newest);
}

}  // namespace
}  // namespace espquant
