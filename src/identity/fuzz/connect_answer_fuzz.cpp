// Whatever a connect service answers: nothing is read beyond it, who comes in has bounded rights, and a denial gives no
// rights at all.
#include "base/json.hpp"
#include "base/utf8.hpp"
#include "identity/claims.hpp"
#include "identity/connect_answer.hpp"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace foz::identity;

constexpr std::chrono::sys_seconds now{std::chrono::seconds(1'800'000'000)};

void require(bool condition) {
    if (!condition) std::abort();
}

void check_denial(const connect_answer& answer) {
    require(answer.text.size() <= denial_text_octets_max && foz::is_utf8(answer.text));
    require(answer.code.size() <= denial_code_octets_max && foz::is_utf8(answer.code));
    const verified_token& none = answer.claims;
    require(none.subject.empty() && none.client.empty() && none.meta.empty() && none.limits.empty());
    require(!none.channels && !none.groups);
}

void check_client(const verified_token& who, std::string_view prefix) {
    require(who.subject.empty() == who.client.empty());
    require(who.client.empty() || who.client == std::string(prefix) + who.subject);
    require(who.client.size() <= subject_octets_max && foz::is_utf8(who.client));
    // Neither a name that the aggregator gives, nor one of a session.
    require(!who.client.starts_with("anon-") && !who.client.starts_with("session:"));
    require(who.token_id.size() <= token_id_octets_max && who.limits.size() <= limits_max);
    require(who.meta.size() <= meta_octets_max && (who.meta.empty() || foz::is_json(who.meta)));
    require(!who.groups || who.groups->size() <= groups_max);
    require(!who.channels || who.channels->size() <= channels_max);
}

void check(std::string_view octets, std::string_view prefix) {
    const auto answer = parse_connect_answer(octets, {.client_prefix = std::string(prefix)}, now);
    if (!answer) return require(foz::is_utf8(answer.error()) && answer.error().size() < 200);
    require(octets.size() <= connect_answer_octets_max && foz::is_json(octets));
    if (!answer->allow) return check_denial(*answer);
    require(answer->text.empty() && answer->code.empty());
    check_client(answer->claims, prefix);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // On the heap, so that a sanitizer sees every read beyond it.
    const std::vector<char> octets(data, data + size);
    const std::string_view text(octets.data(), octets.size());
    check(text, "");
    check(text, "guest:");
    return 0;
}
