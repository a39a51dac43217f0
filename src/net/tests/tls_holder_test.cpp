// Certificates that change while they are in use.
#include "net/tests/certificate.hpp"
#include "net/tls_watch.hpp"

#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace foz::net {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// A pair of files at places that stay, as tools for certificates replace them.
struct deployed {
    deployed() { put(first); }
    void put_certificate(const certificate& from) { replace(from.cert_file, own.cert_file); }
    void put_key(const certificate& from) { replace(from.key_file, own.key_file); }
    void put(const certificate& from) {
        put_certificate(from);
        put_key(from);
    }
    static void replace(const fs::path& from, const fs::path& to) {
        fs::copy_file(from, to.string() + ".new");
        fs::rename(to.string() + ".new", to);
    }

    certificate first, second, own;
    tls_server_options options{own.cert_file, own.key_file};
};

std::string told(const std::optional<tls_news>& news) {
    return !news ? "nothing" : (news->failed ? "failed: " : "") + news->text;
}

const steady_time start{};

}  // namespace

TEST(tls_holder, reads_files_again_when_they_are_others) {
    deployed files;
    const auto holder = tls_holder::open(files.options, start).value();
    const auto before = holder->in_force();
    EXPECT_EQ(told(holder->look(start)), "nothing");
    EXPECT_EQ(holder->in_force(), before);
    files.put(files.second);
    EXPECT_EQ(told(holder->look(start)), "TLS: read again: " + files.own.cert_file + " " + files.own.key_file);
    EXPECT_NE(holder->in_force(), before);
    EXPECT_EQ(told(holder->look(start)), "nothing");
    EXPECT_NE(told(holder->look(start, true)), "nothing");
}

TEST(tls_holder, keeps_what_it_has_while_key_and_certificate_do_not_fit) {
    deployed files;
    const auto holder = tls_holder::open(files.options, start).value();
    const auto before = holder->in_force();
    files.put_certificate(files.second);
    const std::string failure = told(holder->look(start));
    EXPECT_TRUE(failure.starts_with("failed: TLS: " + files.own.key_file + ": ")) << failure;
    EXPECT_TRUE(failure.ends_with("what was read before stays in force")) << failure;
    EXPECT_EQ(told(holder->look(start)), "nothing");  // once
    EXPECT_EQ(holder->in_force(), before);
    files.put_key(files.second);
    EXPECT_TRUE(told(holder->look(start)).starts_with("TLS: read again: "));
    EXPECT_NE(holder->in_force(), before);
}

TEST(tls_holder, says_each_failure_once_and_when_it_is_over) {
    deployed files;
    const auto holder = tls_holder::open(files.options, start).value();
    fs::rename(files.own.cert_file, files.own.cert_file + ".away");
    EXPECT_TRUE(told(holder->look(start)).starts_with("failed: TLS: " + files.own.cert_file + ": "));
    EXPECT_EQ(told(holder->look(start)), "nothing");
    EXPECT_TRUE(told(holder->look(start, true)).starts_with("failed: "));  // it was asked for
    fs::rename(files.own.cert_file + ".away", files.own.cert_file);
    EXPECT_TRUE(told(holder->look(start)).starts_with("TLS: read again: "));
    EXPECT_EQ(told(holder->look(start)), "nothing");
}

TEST(tls_holder, follows_symbolic_links) {
    const certificate first, second;
    const certificate place;
    const fs::path link = place.folder / "current";
    fs::create_directory_symlink(first.folder, link);
    const auto holder = tls_holder::open(tls_server_options{link / "cert.pem", link / "key.pem"}, start).value();
    const auto before = holder->in_force();
    fs::create_directory_symlink(second.folder, place.folder / "next");
    fs::rename(place.folder / "next", link);
    EXPECT_TRUE(told(holder->look(start)).starts_with("TLS: read again: "));
    EXPECT_NE(holder->in_force(), before);
}

TEST(tls_holder, gives_up_an_old_context_without_a_word) {
    deployed files;
    const auto holder = tls_holder::open(files.options, start).value();
    const auto before = holder->in_force();
    EXPECT_EQ(told(holder->look(start + tls_holder::age_max - 1s)), "nothing");
    EXPECT_EQ(holder->in_force(), before);
    EXPECT_EQ(told(holder->look(start + tls_holder::age_max)), "nothing");
    EXPECT_NE(holder->in_force(), before);
}

TEST(tls_holder, is_not_made_from_files_that_can_not_be_used) {
    deployed files;
    files.put_certificate(files.second);
    const auto none = tls_holder::open(files.options, start);
    ASSERT_FALSE(none);
    EXPECT_TRUE(none.error().starts_with("TLS: " + files.own.key_file + ": ")) << none.error();
}

TEST(tls_client_contexts, of_the_same_options_are_one_and_follow_their_files) {
    deployed files;
    tls_client_contexts all;
    const tls_client_options options{.ca_file = files.own.cert_file, .server_name = "a"};
    const auto before = all.context_for(options, start).value();
    EXPECT_EQ(all.context_for({.ca_file = files.own.cert_file, .server_name = "b"}, start).value(), before);
    EXPECT_NE(all.context_for({.ca_file = files.own.cert_file, .verify = false}, start).value(), before);
    EXPECT_FALSE(all.context_for({.ca_file = "no.pem"}, start));
    ASSERT_EQ(all.all().size(), 2u);
    files.put(files.second);
    EXPECT_TRUE(told(all.all().front()->look(start)).starts_with("TLS: read again: " + files.own.cert_file));
    EXPECT_NE(all.context_for(options, start).value(), before);
}

TEST(tls_watch, looks_by_itself_and_when_it_is_asked) {
    deployed files;
    const clock time;
    std::mutex mutex;
    std::condition_variable said;
    std::vector<std::string> all;
    const auto until = [&](std::size_t count) {
        std::unique_lock lock(mutex);
        return said.wait_for(lock, 10s, [&] { return all.size() >= count; });
    };
    tls_watch watch(time,
                    [&](const tls_news& news) {
                        const std::scoped_lock lock(mutex);
                        all.push_back(news.text);
                        said.notify_one();
                    },
                    {.interval = 10ms});
    watch.add(tls_holder::open(files.options, time.now()).value());
    watch.add(nullptr);
    files.put(files.second);
    EXPECT_TRUE(until(1));
    const std::size_t before = [&] {
        const std::scoped_lock lock(mutex);
        return all.size();
    }();
    watch.look_now();
    EXPECT_TRUE(until(before + 1));
}

}  // namespace foz::net
