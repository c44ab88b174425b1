#include <string_view>

#include "search/work.h"
#include "tests/fuzz/targets/targets.h"

namespace espquant::test {

void fuzz_journal(FuzzInput bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  accepted([&] {
    const search::Work work = search::work_from_json(text);
    promised(search::work_from_json(search::to_json(work)).key() == work.key(),
             "a measurement that was written is another when it is read");
  });
  accepted([&] {
    const search::Outcome outcome = search::outcome_from_json(text);
    promised(search::outcome_from_json(search::to_json(outcome)) == outcome,
             "an outcome that was written is another when it is read");
  });
}

}  // namespace espquant::test
