#include "cli/drill/plot.hpp"

#include <algorithm>
#include <cstdio>

namespace foz::cli::drill {
namespace {

constexpr double left = 190;
constexpr double width = 1'000;
constexpr double top = 56;
constexpr double row_height = 16;
// Deliveries closer together than this are one bar: what is white in between is a silence.
constexpr milliseconds join_within{60};

std::string escaped(const std::string& text) {
    std::string out;
    for (const char c : text) {
        if (c == '<')
            out += "&lt;";
        else if (c == '>')
            out += "&gt;";
        else if (c == '&')
            out += "&amp;";
        else
            out += c;
    }
    return out;
}

std::string fixed(double value) {
    char out[32];
    std::snprintf(out, sizeof out, "%.1f", value);
    return out;
}

class plotter {
public:
    plotter(const history& all, const result& of) : all_(all), of_(of), end_(all.ended) {
        for (const line& one : all_.lines)
            if (!one.heard.empty()) end_ = std::max(end_, one.heard.back().at);
        span_ = std::max(std::chrono::duration<double>(end_ - all_.begun).count(), 0.001);
    }

    std::string draw() {
        const double height = top + row_height * static_cast<double>(all_.lines.size()) + 40;
        out_ = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + fixed(left + width + 20) + "\" height=\"" +
               fixed(height) +
               "\" font-family=\"sans-serif\" font-size=\"11\">\n"
               "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
        text(10, 20,
             "foz drill " + of_.name + ", seed " + std::to_string(of_.seed) + ": " + std::to_string(of_.found.written) +
                 " written, " + std::to_string(of_.found.lost) + " lost, " + std::to_string(of_.found.repeated) +
                 " repeated, longest silence " + std::to_string(of_.found.silences.max().count()) + " ms");
        double y = top;
        for (const line& one : all_.lines) {
            row(one, y);
            y += row_height;
        }
        axis(y);
        faults(y);
        return std::move(out_) + "</svg>\n";
    }

private:
    double x_of(instant at) const {
        return left + width * std::clamp(std::chrono::duration<double>(at - all_.begun).count() / span_, 0.0, 1.0);
    }
    void text(double x, double y, const std::string& what, const std::string& more = "") {
        out_ += "<text x=\"" + fixed(x) + "\" y=\"" + fixed(y) + "\"" + more + ">" + escaped(what) + "</text>\n";
    }
    void bar(instant from, instant until, double y, const char* colour) {
        const double x = x_of(from);
        out_ += "<rect x=\"" + fixed(x) + "\" y=\"" + fixed(y + 3) + "\" width=\"" +
                fixed(std::max(x_of(until) - x, 0.6)) + "\" height=\"" + fixed(row_height - 6) + "\" fill=\"" + colour +
                "\"/>\n";
    }

    void row(const line& one, double y) {
        text(10, y + 12, one.client + " on " + one.channel + (one.resumes ? "" : " (stock)"));
        for (std::size_t i = 0; i < one.heard.size();) {
            std::size_t last = i;
            while (last + 1 < one.heard.size() && one.heard[last + 1].at - one.heard[last].at <= join_within) ++last;
            bar(one.heard[i].at, one.heard[last].at, y, one.durable ? "#2b7bba" : "#7a9f35");
            i = last + 1;
        }
        for (const told_gap& gap : one.gaps) bar(gap.at, gap.at, y, "#c0392b");
    }

    void axis(double y) {
        const double steps[] = {0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120, 300, 600};
        double step = steps[0];
        for (const double one : steps)
            if (span_ / (step = one) <= 20) break;
        for (double at = 0; at <= span_; at += step)
            text(left + width * at / span_, y + 16, fixed(at) + " s", " text-anchor=\"middle\" fill=\"#666\"");
    }

    void faults(double y) {
        bool low = false;
        for (const fault& one : all_.faults) {
            const std::string x = fixed(x_of(one.at));
            out_ += "<line x1=\"" + x + "\" x2=\"" + x + "\" y1=\"" + fixed(top - 6) + "\" y2=\"" + fixed(y) +
                    "\" stroke=\"#c0392b\" stroke-dasharray=\"4 2\"><title>" + escaped(one.what) + "</title></line>\n";
            text(x_of(one.at) + 2, low ? top - 6 : top - 18, one.what, " fill=\"#c0392b\"");
            low = !low;
        }
    }

    const history& all_;
    const result& of_;
    instant end_;
    double span_ = 1;
    std::string out_;
};

}  // namespace

std::string plot_svg(const history& all, const result& of) {
    return plotter(all, of).draw();
}

}  // namespace foz::cli::drill
