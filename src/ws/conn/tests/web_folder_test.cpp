// What a folder gives away and what it doesn't, on a real file system.
#include "ws/conn/web_folder.hpp"

#include "net/shard.hpp"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

#include <gtest/gtest.h>

namespace foz::ws {
namespace {

namespace fs = std::filesystem;

struct web_folder_test : ::testing::Test {
    web_folder_test() {
        char name[] = "/tmp/foz-web-XXXXXX";
        root = ::mkdtemp(name);
        fs::create_directories(root / "web/sub");
        put("web/index.html", "index");
        put("web/sub/index.html", "sub");
        put("web/a b.js", "let a;");
        put("web.toml", "beside");
        put("web-private/x", "beside");
        put("secret", "outside");
    }
    ~web_folder_test() override { fs::remove_all(root); }

    void put(const std::string& file, const std::string& text) {
        fs::create_directories((root / file).parent_path());
        std::ofstream(root / file) << text;
    }
    http_response answer(const std::string& path) {
        if (!folder) folder.emplace((root / "web").string());
        http_request request;
        request.method = "GET";
        request.path = path;
        return folder->answer(request);
    }
    unsigned status(const std::string& path) { return answer(path).status; }
    std::string body(const std::string& path) {
        const http_response response = answer(path);
        if (!response.source) return response.body;
        std::string all;
        for (bool more = true; more && all.size() < response.source->size();) {
            std::optional<std::string> piece;
            response.source->read(home, 4, [&](std::string octets) { piece = std::move(octets); });
            while (!piece) {
                home.context().restart();
                home.turn();
            }
            more = !piece->empty();
            all += *piece;
        }
        return all;
    }

    clock time;
    net::shard home{0, time, system_random()};
    fs::path root;
    std::optional<web_folder> folder;
};

}  // namespace

TEST_F(web_folder_test, files_and_folders_are_found) {
    EXPECT_EQ(body("/"), "index");
    EXPECT_EQ(body("/index.html"), "index");
    EXPECT_EQ(body("/sub/"), "sub");
    EXPECT_EQ(body("/a b.js"), "let a;");
    EXPECT_EQ(answer("/a b.js").content_type, "text/javascript; charset=utf-8");
    const http_response moved = answer("/sub");
    EXPECT_EQ(moved.status, 301u);
    EXPECT_EQ(moved.headers.front(), (std::pair<std::string, std::string>{"Location", "sub/"}));
}

TEST_F(web_folder_test, what_is_hidden_is_not_found) {
    put("web/.env", "x");
    put("web/.git/config", "x");
    put("web/sub/.hidden", "x");
    put("web/.well-known/security.txt", "contact");
    put("web/.well-known/.x", "x");
    put("web/a\\b", "x");
    for (const char* path : {"/.env", "/.git/config", "/sub/.hidden", "/.", "/..", "/../secret", "/.well-known/.x",
                             "/a\\b", "//index.html", "/sub//index.html", ".toml", "-private/x", "/nothing", ""})
        EXPECT_EQ(status(path), 404u) << path;
    EXPECT_EQ(body("/.well-known/security.txt"), "contact");
}

TEST_F(web_folder_test, a_compressed_form_beside_a_file_is_sent_to_whoever_takes_it) {
    put("web/app.js", "plain");
    put("web/app.js.gz", "gzip");
    put("web/app.js.br", "brotli");
    const auto now = fs::last_write_time(root / "web/app.js.gz");
    fs::last_write_time(root / "web/app.js", now - std::chrono::seconds(5));
    const auto asked = [this](const std::string& name, const std::string& value) {
        if (!folder) folder.emplace((root / "web").string());
        http_request request;
        request.method = "GET";
        request.path = "/app.js";
        request.headers.emplace_back(name, value);
        return folder->answer(request);
    };
    const auto header = [](const http_response& response, std::string_view name) {
        for (const auto& [field, value] : response.headers)
            if (field == name) return value;
        return std::string();
    };
    EXPECT_EQ(header(asked("Accept-Encoding", "gzip"), "Content-Encoding"), "gzip");
    EXPECT_EQ(asked("Accept-Encoding", "gzip").source->size(), 4u);
    EXPECT_EQ(asked("Accept-Encoding", "gzip").content_type, "text/javascript; charset=utf-8");
    EXPECT_EQ(header(asked("Accept-Encoding", "gzip, br"), "Content-Encoding"), "br");
    EXPECT_EQ(header(asked("Accept-Encoding", "identity"), "Content-Encoding"), "");
    const std::string tag = header(asked("Accept-Encoding", "identity"), "ETag");
    EXPECT_NE(header(asked("Accept-Encoding", "gzip"), "ETag"), tag);
    EXPECT_EQ(asked("If-None-Match", tag).status, 304u);
    const std::string date = header(asked("Accept", "*/*"), "Last-Modified");
    EXPECT_EQ(asked("If-Modified-Since", date).status, 304u);
    // It has changed since it was compressed.
    fs::last_write_time(root / "web/app.js", now + std::chrono::seconds(5));
    EXPECT_EQ(header(asked("Accept-Encoding", "gzip"), "Content-Encoding"), "");
    EXPECT_EQ(asked("If-None-Match", tag).status, 200u);
}

TEST_F(web_folder_test, links_that_leave_are_not_followed) {
    fs::create_symlink("../secret", root / "web/up");
    fs::create_symlink(root / "secret", root / "web/absolute");
    fs::create_symlink("/", root / "web/root");
    fs::create_symlink("/proc/self/environ", root / "web/proc");
    fs::create_symlink("../index.html", root / "web/sub/inside");
    for (const char* path : {"/up", "/absolute", "/root", "/root/etc/passwd", "/proc"})
        EXPECT_EQ(status(path), 404u) << path;
    EXPECT_EQ(body("/sub/inside"), "index");
}

TEST_F(web_folder_test, only_regular_files_are_served_and_nothing_waits) {
    ASSERT_EQ(::mkfifo((root / "web/fifo").c_str(), 0600), 0);
    EXPECT_EQ(status("/fifo"), 404u);
    fs::remove(root / "web/index.html");
    fs::create_directory(root / "web/index.html");
    EXPECT_EQ(status("/"), 404u);
}

TEST_F(web_folder_test, a_file_that_can_not_be_had_is_told_by_its_length) {
    put("web/big", std::string(100'000, 'x'));
    const http_response response = answer("/big");
    fs::resize_file(root / "web/big", 0);
    std::optional<std::string> piece;
    response.source->read(home, 1'000, [&](std::string octets) { piece = std::move(octets); });
    while (!piece) {
        home.context().restart();
        home.turn();
    }
    EXPECT_EQ(*piece, "");
}

TEST_F(web_folder_test, open_files_are_bounded) {
    folder.emplace((root / "web").string(), web_folder_options{.files_max = 2});
    const http_response one = answer("/");
    {
        const http_response two = answer("/sub/");
        EXPECT_EQ(status("/"), 503u);
    }
    EXPECT_EQ(status("/"), 200u);
    EXPECT_EQ(status("/nothing"), 404u);
}

TEST_F(web_folder_test, a_folder_that_is_none_is_refused) {
    EXPECT_THROW(web_folder((root / "nowhere").string()), std::runtime_error);
    EXPECT_THROW(web_folder((root / "secret").string()), std::runtime_error);
}

}  // namespace foz::ws
