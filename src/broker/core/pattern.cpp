#include "broker/core/pattern.hpp"

#include <stdexcept>
#include <utility>

#include <boost/regex.hpp>

namespace foz::broker {

struct pattern::compiled {
    boost::regex expression;
};

std::expected<pattern, std::string> pattern::compile(const std::string& text) {
    try {
        return pattern(std::make_shared<const compiled>(compiled{boost::regex(text, boost::regex::perl)}));
    } catch (const boost::regex_error& error) {
        // Boost's text goes on, over several lines, with where it was.
        std::string why = error.what();
        return std::unexpected(why.substr(0, why.find_first_of(".\n")));
    }
}

bool pattern::matches(std::string_view name) const {
    try {
        return boost::regex_search(name.begin(), name.end(), expression_->expression);
    } catch (const std::runtime_error&) {
        return false;  // too many steps
    }
}

}  // namespace foz::broker
