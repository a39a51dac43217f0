#include "cli/drill/report.hpp"

#include "base/json.hpp"
#include "cli/drill/figures.hpp"
#include "cli/drill/plot.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::cli::drill {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

result some_result() {
    result out{.name = "service-dies", .seed = 7, .took = milliseconds(1'500)};
    out.found.written = 10;
    out.found.acknowledged = 9;
    out.found.refused = 1;
    out.found.refusals["timeout"] = 1;
    out.found.silences.all = {milliseconds(120)};
    return out;
}

TEST(drill_report, tells_people_the_figures) {
    const std::string text = audit_text(some_result());
    EXPECT_THAT(text, HasSubstr("written         10"));
    EXPECT_THAT(text, HasSubstr("refused         1: timeout 1"));
    EXPECT_THAT(text, HasSubstr("120 ms"));
    EXPECT_THAT(text, HasSubstr("every promise was kept"));
    EXPECT_THAT(text, Not(HasSubstr("BROKEN")));
}

TEST(drill_report, names_what_was_broken) {
    result one = some_result();
    one.how = result::state::failed;
    one.found.violations.emplace_back("message 3 is lost");
    EXPECT_THAT(audit_text(one), HasSubstr("BROKEN: message 3 is lost"));
    EXPECT_THAT(audit_text(one), Not(HasSubstr("was kept")));
}

TEST(drill_report, is_json_for_programs) {
    result skipped{.name = "broker-partition", .how = result::state::skipped, .why = "needs \"root\""};
    const std::string json = audit_json({some_result(), skipped});
    EXPECT_TRUE(is_json(json)) << json;
    EXPECT_THAT(json, HasSubstr(R"("lost":0)"));
    EXPECT_THAT(json, HasSubstr(R"("result":"skipped")"));
}

TEST(drill_figures, are_a_row_for_each_drill_on_each_broker) {
    result first = some_result();
    first.broker = "embedded";
    first.wanted = "< 1 s";
    first.found.faults = 2;
    result second = first;
    second.seed = 8;
    second.found.silences.all = {milliseconds(300), milliseconds(340)};
    second.found.lost = 1;
    second.how = result::state::failed;
    second.found.violations.emplace_back("message 3 is lost");
    const result skipped{.name = "disk-full", .how = result::state::skipped};
    const std::string text = figures_text({first, second, skipped}, "On a small machine.");
    EXPECT_THAT(text, HasSubstr("On a small machine."));
    EXPECT_THAT(text, HasSubstr("4 faults in 2 runs: 20 messages written, 18 acknowledged, 1 lost"));
    EXPECT_THAT(text,
                HasSubstr("| service-dies | embedded | 4 | 20 | 0 | 1 | 0 | 0 |  | 0.30 / 0.34 s |  | < 1 s |\n"));
    EXPECT_THAT(text, HasSubstr("- service-dies on embedded, seed 8: message 3 is lost\n"));
    EXPECT_THAT(text, Not(HasSubstr("disk-full")));
}

TEST(drill_plot, draws_a_row_for_each_line_and_names_each_fault) {
    const instant begun{};
    history all{.begun = begun, .ended = begun + milliseconds(2'000)};
    line one;
    one.client = "client <1>";
    one.channel = "chat";
    for (const int ms : {100, 120, 140, 900, 920}) one.heard.push_back({0, 1, begun + milliseconds(ms)});
    all.lines.push_back(one);
    all.faults.push_back({begun + milliseconds(200), "SIGKILL of worker 1"});
    const std::string svg = plot_svg(all, some_result());
    EXPECT_THAT(svg, HasSubstr("client &lt;1&gt; on chat"));
    EXPECT_THAT(svg, HasSubstr("<title>SIGKILL of worker 1</title>"));
    std::size_t bars = 0;
    for (std::size_t at = svg.find("#2b7bba"); at != std::string::npos; at = svg.find("#2b7bba", at + 1)) ++bars;
    EXPECT_EQ(bars, 2u) << "a silence of 760 ms lies between them";
}

}  // namespace
}  // namespace foz::cli::drill
