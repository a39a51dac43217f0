#include "ops/admin/request_gate.hpp"

#include "base/ascii.hpp"
#include "ws/conn/origin.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace foz::ops {

bool is_foreign(const ws::http_request& request, bool secure) {
    const std::string origin = request.all("Origin");
    if (!origin.empty() && !ws::same_origin(origin, secure, request.host)) return true;
    const std::string site = request.all("Sec-Fetch-Site");
    if (site.empty() || site == "same-origin" || site == "none") return false;
    const bool link = request.method == "GET" && request.all("Sec-Fetch-Mode") == "navigate" &&
                      request.all("Sec-Fetch-Dest") == "document";
    return !link;
}

bool is_deliberate(const ws::http_request& request) {
    if (!request.all("X-Requested-With").empty()) return true;
    const std::string type = request.all("Content-Type");
    const std::string_view name = std::string_view(type).substr(0, type.find_first_of("; \t,"));
    // A list could be read as one of its other parts.
    return ascii_iequals(name, "application/json") && type.find(',') == std::string::npos;
}

ws::http_response guarded(ws::http_response response) {
    for (const auto& [name, value] :
         {std::pair("Cache-Control", "no-store"), std::pair("X-Content-Type-Options", "nosniff"),
          std::pair("X-Frame-Options", "DENY"), std::pair("Content-Security-Policy", "default-src 'none'"),
          std::pair("Cross-Origin-Resource-Policy", "same-origin")})
        response.headers.emplace_back(name, value);
    return response;
}

}  // namespace foz::ops
