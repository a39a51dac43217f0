#include "amqp/codec/property_view.hpp"
#include "broker/core/exchange.hpp"

#include <algorithm>
#include <map>

namespace foz::broker {
namespace {

// The same destination may be bound several times. Many of them are found by an index.
class destinations {
public:
    void add(destination to) {
        if (held* const known = find(to)) {
            ++known->times;
            return;
        }
        all_.push_back({to, 1});
        if (!index_.empty())
            index_.emplace(to, all_.size() - 1);
        else if (all_.size() > unindexed_max)
            for (std::size_t i = 0; i < all_.size(); ++i) index_.emplace(all_[i].to, i);
    }
    void remove(destination to) {
        held* const known = find(to);
        if (!known || --known->times > 0) return;
        const auto place = static_cast<std::size_t>(known - all_.data());
        if (!index_.empty()) {
            index_[all_.back().to] = place;
            index_.erase(to);
        }
        *known = all_.back();
        all_.pop_back();
    }
    bool empty() const noexcept { return all_.empty(); }
    void append_to(std::vector<destination>& out) const {
        for (const held& one : all_) out.push_back(one.to);
    }

private:
    struct held {
        destination to;
        std::uint32_t times = 0;
    };
    static constexpr std::size_t unindexed_max = 16;

    held* find(destination to) {
        if (index_.empty()) {
            const auto at = std::ranges::find(all_, to, &held::to);
            return at == all_.end() ? nullptr : &*at;
        }
        const auto at = index_.find(to);
        return at == index_.end() ? nullptr : &all_[at->second];
    }

    std::vector<held> all_;
    std::unordered_map<destination, std::size_t, destination::hash> index_;  // empty while there are few
};

class fanout_router final : public router {
    void add(const binding& made) override { all_.add(made.to); }
    void remove(const binding& gone) override { all_.remove(gone.to); }
    void route(routed_message&, std::vector<destination>& out) const override { all_.append_to(out); }

    destinations all_;
};

class direct_router final : public router {
    void add(const binding& made) override { by_key_[made.routing_key].add(made.to); }
    void remove(const binding& gone) override {
        const auto at = by_key_.find(gone.routing_key);
        if (at == by_key_.end()) return;
        at->second.remove(gone.to);
        if (at->second.empty()) by_key_.erase(at);
    }
    void route(routed_message& what, std::vector<destination>& out) const override {
        const auto at = by_key_.find(what.routing_key);
        if (at != by_key_.end()) at->second.append_to(out);
    }

    std::unordered_map<std::string, destinations, string_hash, std::equal_to<>> by_key_;
};

// A tree of the patterns' words: '*' is one word, '#' any number of them, none included (AMQP 0-9-1 §3.1.3.3).
class topic_router final : public router {
    struct node {
        std::map<std::string, std::unique_ptr<node>, std::less<>> words;
        destinations here;
        bool any_number = false;         // reached by '#'
        mutable std::uint64_t step = 0;  // of the routing that came here last
        bool empty() const { return words.empty() && here.empty(); }
    };

    static std::string_view take_word(std::string_view& rest, bool& more) {
        const std::size_t dot = rest.find('.');
        const std::string_view word = rest.substr(0, dot);
        more = dot != std::string_view::npos;
        rest = more ? rest.substr(dot + 1) : std::string_view();
        return word;
    }

    // An empty key has no words.
    static std::vector<std::string_view> split(std::string_view key) {
        std::vector<std::string_view> words;
        bool more = !key.empty();
        while (more) words.push_back(take_word(key, more));
        return words;
    }

    void add(const binding& made) override {
        node* at = &root_;
        for (const std::string_view word : split(made.routing_key)) {
            auto& next = at->words[std::string(word)];
            if (!next) {
                next = std::make_unique<node>();
                next->any_number = word == "#";
            }
            at = next.get();
        }
        at->here.add(made.to);
    }

    void remove(const binding& gone) override { remove(root_, split(gone.routing_key), 0, gone.to); }

    static void remove(node& at, const std::vector<std::string_view>& words, std::size_t depth, destination to) {
        if (depth == words.size()) return at.here.remove(to);
        const auto next = at.words.find(words[depth]);
        if (next == at.words.end()) return;
        remove(*next->second, words, depth + 1, to);
        if (next->second->empty()) at.words.erase(next);
    }

    // All places of the tree that the words so far lead to, each once: a pattern with many '#' costs no more than its
    // length for each word of the key.
    void route(routed_message& what, std::vector<destination>& out) const override {
        if (root_.empty()) return;
        std::string_view rest = what.routing_key;
        bool more = !rest.empty();
        at_.clear();
        ++step_;
        enter(root_);
        while (more && !at_.empty()) {
            const std::string_view word = take_word(rest, more);
            std::swap(at_, before_);
            at_.clear();
            ++step_;
            for (const node* const one : before_) advance(*one, word);
        }
        for (const node* const one : at_) one->here.append_to(out);
    }

    void advance(const node& from, std::string_view word) const {
        if (from.any_number) enter(from);
        if (const node* const one = child(from, "*")) enter(*one);
        if (word == "*" || word == "#") return;  // a word of the key is never a pattern
        if (const node* const same = child(from, word)) enter(*same);
    }

    // '#' may be no word at all: who is in front of it is behind it too.
    void enter(const node& there) const {
        for (const node* one = &there; one && one->step != step_; one = child(*one, "#")) {
            one->step = step_;
            at_.push_back(one);
        }
    }

    static const node* child(const node& at, std::string_view word) {
        const auto found = at.words.find(word);
        return found == at.words.end() ? nullptr : found->second.get();
    }

    node root_;
    // Scratch of the routing.
    mutable std::vector<const node*> at_;
    mutable std::vector<const node*> before_;
    mutable std::uint64_t step_ = 0;
};

// Compares the binding's arguments with the message's headers; x-match says how many must agree. Arguments that begin
// with "x-" count only for all-with-x and any-with-x. A void argument asks for the header's presence alone.
class headers_router final : public router {
    void add(const binding& made) override { all_.add(made); }
    void remove(const binding& gone) override { all_.remove(gone); }

    static bool matches(const amqp::table& wanted, const amqp::table& headers) {
        const std::string_view how = amqp::as_string(wanted.find("x-match")).value_or("all");
        const bool any = how.starts_with("any");
        const bool with_x = how.ends_with("-with-x");
        for (const amqp::table_entry& one : wanted) {
            if (one.key == "x-match" || (!with_x && one.key.starts_with("x-"))) continue;
            const amqp::field_value* const held = headers.find(one.key);
            const bool same = held && (one.value.is_void() || equal(one.value, *held));
            if (same == any) return any;
        }
        return !any;
    }

    // Numbers and texts by value, whatever their width or type on the wire.
    static bool equal(const amqp::field_value& a, const amqp::field_value& b) {
        const auto x = amqp::as_int64(a);
        const auto y = amqp::as_int64(b);
        if (x && y) return x == y;
        const auto v = amqp::as_double(a);
        const auto w = amqp::as_double(b);
        if (v && w) return v == w;
        const auto t = amqp::as_string(a);
        const auto u = amqp::as_string(b);
        return t && u ? t == u : a == b;
    }

    void route(routed_message& what, std::vector<destination>& out) const override {
        if (all_.all().empty()) return;
        const amqp::table& headers = what.all_headers();
        for (const binding& one : all_.all())
            if (matches(one.arguments, headers)) out.push_back(one.to);
    }

    binding_list all_;
};

}  // namespace

const amqp::table& routed_message::all_headers() {
    if (!headers) {
        amqp::basic_properties all = amqp::decode_properties(properties);
        if (all.headers) decoded = std::move(*all.headers);
        headers = &decoded;
    }
    return *headers;
}

std::unique_ptr<router> make_router(exchange_kind kind) {
    switch (kind) {
        case exchange_kind::direct:
            return std::make_unique<direct_router>();
        case exchange_kind::fanout:
            return std::make_unique<fanout_router>();
        case exchange_kind::topic:
            return std::make_unique<topic_router>();
        case exchange_kind::headers:
            return std::make_unique<headers_router>();
    }
    return {};
}

}  // namespace foz::broker
