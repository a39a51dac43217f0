#include "identity/http_get.hpp"

#include "base/loopback.hpp"

#include <curl/curl.h>
#include <memory>

namespace foz::identity {
namespace {

using url_handle = std::unique_ptr<CURLU, void (*)(CURLU*)>;

std::string part_of(CURLU* url, CURLUPart which) {
    char* text = nullptr;
    if (curl_url_get(url, which, &text, 0) != CURLUE_OK) return {};
    std::string out(text);
    curl_free(text);
    return out;
}

struct transfer {
    std::string body;
    std::size_t octets_max;
    bool too_large = false;
    const std::atomic<bool>& stop;
};

std::size_t on_octets(char* octets, std::size_t size, std::size_t count, void* to) {
    auto& into = *static_cast<transfer*>(to);
    const std::size_t more = size * count;
    if (into.body.size() + more > into.octets_max) {
        into.too_large = true;
        return 0;
    }
    into.body.append(octets, more);
    return more;
}

int on_progress(void* of, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<transfer*>(of)->stop.load() ? 1 : 0;
}

void prepare(CURL* curl, const std::string& url, const fetch_options& options, transfer& into) {
    const bool plain = url.size() >= 5 && url[4] == ':';  // http, by flaw_of_fetch_url() on the loopback
    curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, plain ? "http" : "https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, static_cast<long>(options.timeout.count()));
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    curl_easy_setopt(curl, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
    if (!options.ca_file.empty()) {
        curl_easy_setopt(curl, CURLOPT_CAINFO, options.ca_file.c_str());
        curl_easy_setopt(curl, CURLOPT_CAPATH, nullptr);
    }
    if (plain) curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "foz");
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(options.octets_max));
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_octets);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &into);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &into);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
}

bool initialised() {
    static const bool good = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
    return good;
}

}  // namespace

std::string flaw_of_fetch_url(const std::string& url) {
    const url_handle parsed(curl_url(), curl_url_cleanup);
    if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK)
        return "a URL that begins with https:// is expected";
    if (!part_of(parsed.get(), CURLUPART_USER).empty() || !part_of(parsed.get(), CURLUPART_PASSWORD).empty())
        return "a user or a password in the URL is not supported";
    if (url.starts_with("https://")) return {};
    // libcurl, too, takes localhost for the loopback without asking anybody.
    if (url.starts_with("http://") && is_loopback_host(part_of(parsed.get(), CURLUPART_HOST))) return {};
    return "https:// is expected; http:// is for loopback addresses alone";
}

std::expected<std::string, std::string> http_get(const std::string& url, const fetch_options& options,
                                                 const std::atomic<bool>& stop) {
    if (std::string flaw = flaw_of_fetch_url(url); !flaw.empty()) return std::unexpected(std::move(flaw));
    const std::unique_ptr<CURL, void (*)(CURL*)> curl(initialised() ? curl_easy_init() : nullptr, curl_easy_cleanup);
    if (!curl) return std::unexpected("libcurl can't be initialised");
    transfer into{.octets_max = options.octets_max, .stop = stop};
    prepare(curl.get(), url, options, into);
    const CURLcode became = curl_easy_perform(curl.get());
    if (into.too_large || became == CURLE_FILESIZE_EXCEEDED)
        return std::unexpected("the answer is larger than " + std::to_string(options.octets_max) + " octets");
    if (became != CURLE_OK) return std::unexpected(curl_easy_strerror(became));
    long status = 0;
    curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
    if (status != 200) return std::unexpected("the answer's status is " + std::to_string(status));
    return std::move(into.body);
}

}  // namespace foz::identity
