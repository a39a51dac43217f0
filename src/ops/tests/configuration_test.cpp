#include "ops/config/configuration.hpp"

#include "ops/config/document.hpp"
#include "ops/config/keys.hpp"
#include "ops/config/nearest.hpp"

#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>
#include <unistd.h>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace foz::ops {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using variables = std::vector<std::string_view>;

// Each test its own: ctest may run several at once.
std::string file_of(const std::string& text) {
    const auto folder = std::filesystem::temp_directory_path() / ("foz_ops_test." + std::to_string(::getpid()));
    std::filesystem::create_directories(folder);
    std::filesystem::current_path(folder);
    std::ofstream("foz.toml") << text;
    return "foz.toml";
}

struct outcome {
    configuration all;
    std::vector<std::string> problems;
    std::vector<std::string> warnings;
};

outcome read(const std::string& toml, const variables& environment = {}) {
    configuration_reader reader;
    reader.read_file(file_of(toml));
    reader.read_variables(environment);
    configuration all = reader.finish();
    return {std::move(all), reader.problems(), reader.warnings()};
}

struct row {
    std::string toml;
    std::string problem;
};

void PrintTo(const row& one, std::ostream* out) {
    *out << one.toml;
}

class wrong_file : public testing::TestWithParam<row> {};

TEST_P(wrong_file, is_one_line_that_says_where_and_what_would_be_right) {
    EXPECT_THAT(read(GetParam().toml).problems, ElementsAre(GetParam().problem));
}

INSTANTIATE_TEST_SUITE_P(
    rows, wrong_file,
    testing::Values(
        row{"[broker]\nconusme_urls = []\n",
            "foz.toml:2: broker.conusme_urls: no such key; did you mean consume_urls?"},
        row{"[broker]\nxyzzyplugh = 1\n",
            "foz.toml:2: broker.xyzzyplugh: no such key; one of urls, consume_urls, publish_urls, ca, revokers, "
            "stream_prefetch, "
            "content_bytes, confirm_timeout_ms, unready_after_ms is expected"},
        row{"[limts]\nqueue_bytes = 1\n", "foz.toml:1: limts: no such section; did you mean limits?"},
        row{"threds = 4\n", "foz.toml:1: threds: no such key; did you mean threads?"},
        row{"listen = \"127.0.0.1:80\"\n", "foz.toml:1: listen: a section expected, [listen]"},
        row{"\n[limits]\nqueue_bytes = -5\n", "foz.toml:3: limits.queue_bytes: 1024 to 1073741824 expected, not -5"},
        row{"[limits]\nqueue_bytes = \"much\"\n",
            "foz.toml:2: limits.queue_bytes: 1024 to 1073741824 expected, not a string"},
        row{"[limits]\nqueue_bytes = 5e3\n",
            "foz.toml:2: limits.queue_bytes: 1024 to 1073741824 expected, not a float"},
        row{"[listen]\nallow_anonymous = 1\n",
            "foz.toml:2: listen.allow_anonymous: true or false expected, not an "
            "integer"},
        row{"[listen]\naddress = \"localhost\"\n", "foz.toml:2: listen.address: localhost is not an IP address"},
        row{"[listen]\naddress = \"0.0.0.0\"\n",
            "foz.toml:2: listen.address: anyone who reaches 0.0.0.0 would be let in; name issuers of tokens "
            "([issuers.NAME]), proxies that say who comes (listen.proxies, listen.client_header) or a service that "
            "decides it (connect_service.channel), or say allow_anonymous (--allow-anonymous) if that is meant"},
        row{"[connect_service]\nchannel = \"door\"\n", "foz.toml:2: connect_service.channel: there is no channel door"},
        row{"[listen]\nallow_anonymous = true\n[connect_service]\nchannel = \"chat\"\n",
            "foz.toml:4: connect_service.channel: with allow_anonymous everybody comes in, and nobody has to be asked; "
            "leave one of them out"},
        row{"[connect_service]\ncookies = [\"sid\"]\n",
            "foz.toml:2: connect_service.cookies: without effect; say connect_service.channel, too"},
        row{"[connect_service]\nchannel = \"chat\"\nheaders = [\"X-Plan\", \"cookie\"]\n",
            "foz.toml:3: connect_service.headers: cookies are named one by one, in connect_service.cookies"},
        row{"[connect_service]\nchannel = \"chat\"\nheaders = [\"Sec-WebSocket-Protocol\"]\n",
            "foz.toml:3: connect_service.headers: it may hold a token; the service is told the other protocols"},
        row{"[connect_service]\nchannel = \"chat\"\ncookies = [\"a b\"]\n",
            "foz.toml:3: connect_service.cookies: the name of a header is expected, not a b"},
        row{"[connect_service]\nchannel = \"chat\"\ncookies = [\"sid\", \"foz_resume\"]\n",
            "foz.toml:3: connect_service.cookies: foz_resume is a client's secret, which no service is told"},
        row{"[issuers.idp]\nissuer = \"idp\"\nkeys_url = \"https://idp.example/keys\"\n"
            "[connect_service]\nchannel = \"chat\"\ncookies = [\"foz_token\"]\n",
            "foz.toml:6: connect_service.cookies: foz_token may hold a token (listen.token_cookie), which no service "
            "is told"},
        row{"[listen]\nproxies = [\"127.0.0.1\"]\nclient_header = \"X-User\"\n"
            "[connect_service]\nchannel = \"chat\"\nheaders = [\"x-user\"]\n",
            "foz.toml:6: connect_service.headers: X-User is believed of proxies alone (listen.client_header); of a "
            "client that one of them names nobody is asked, and others may send what they like"},
        row{"[listen]\norigins = [1, 2]\n", "foz.toml:2: listen.origins: a list of strings expected, not a list"},
        row{"[listen]\ntls_key = \"foz.toml\"\n",
            "foz.toml:2: listen.tls_key: tls_certificate is missing; they go together"},
        row{"[web]\nfolder = \"/nowhere\"\n", "foz.toml:2: web.folder: a folder is expected, not /nowhere"},
        row{"[web]\nfolder = \".\"\n",
            "foz.toml:2: web.folder: the configuration (foz.toml) would be served to anyone; use a folder that holds "
            "nothing but files for browsers"},
        row{"[web]\nprimus_js = \"/nowhere\"\n",
            "foz.toml:2: web.primus_js: a file that can be read is expected, not /nowhere"},
        row{"[broker]\nconsume_urls = [\"amqp://h\"]\n",
            "foz.toml:2: broker.consume_urls: publish_urls is missing; or say urls for both"},
        row{"[broker]\nurls = [\"amqp://a:x@h\", \"amqp://b:x@i\"]\nrevokers = [\"c\"]\n",
            "foz.toml:3: broker.revokers: foz serve must have one name of its own at the broker, too: one user in all "
            "publish_urls (or urls), and no auth_mechanism=EXTERNAL"},
        row{"[embedded]\nlisten = \"5672\"\n", "foz.toml:2: embedded.listen: ADDRESS:PORT is expected, not 5672"},
        row{"[embedded]\nvhosts = []\n", "foz.toml:2: embedded.vhosts: at least one virtual host expected"},
        row{"[embedded]\nvhosts = [\"/\", \"\"]\n",
            "foz.toml:2: embedded.vhosts: a virtual host has a name; the usual one is /"},
        row{"[client]\npublish_targets = [\"\"]\n",
            "foz.toml:2: client.publish_targets: the default exchange must not be among them"},
        row{"[admin]\nlisten = \"9090\"\n", "foz.toml:2: admin.listen: ADDRESS:PORT is expected, not 9090"},
        row{"[log]\nlevel = \"waring\"\n",
            "foz.toml:2: log.level: \"warning\", \"debug\", \"info\" or \"error\" expected, not \"waring\""},
        row{"[channels]\n", "channels: at least one [channels.NAME] expected"},
        row{"[channels.Chat]\norder = \"none\"\n",
            "foz.toml:1: channels.Chat: a channel's name consists of a-z, 0-9 and '-', and begins with a letter"},
        row{"[channels.dead]\n",
            "foz.toml:1: channels.dead: IN_DEAD is the queue of dead letters; another name is needed"},
        row{"[channels]\nchat = 1\n", "foz.toml:2: channels.chat: a section expected, [channels.chat]"},
        row{"[channels.chat]\ndelivery = \"durabel\"\n",
            "foz.toml:2: channels.chat.delivery: \"durable\" or \"volatile\" expected, not \"durabel\""},
        row{"[channels.chat]\ndelivry = \"durable\"\n",
            "foz.toml:2: channels.chat.delivry: no such key; did you mean delivery?"},
        row{"[channels.chat]\nredeliver = \"nver\"\n",
            "foz.toml:2: channels.chat.redeliver: 1 to 1000000, \"never\" or \"unlimited\" expected, not \"nver\""},
        row{"[channels.chat]\nredeliver = 0\n",
            "foz.toml:2: channels.chat.redeliver: 1 to 1000000, \"never\" or \"unlimited\" expected, not 0"},
        row{"[channels.v]\ndelivery = \"volatile\"\nretention_bytes = 5\n",
            "foz.toml:3: channels.v.retention_bytes: a volatile channel keeps nothing; leave it out"},
        row{"[channels.v]\ndelivery = \"volatile\"\nretention_hours = 5\n",
            "foz.toml:3: channels.v.retention_hours: a volatile channel keeps nothing; leave it out"},
        row{"[channels.c]\nvolatile_max_length = 5\n",
            "foz.toml:2: channels.c.volatile_max_length: only a volatile channel has such a queue; leave it out"},
        row{"[channels.c]\norder = \"client\"\nconsumers = \"competing\"\n",
            "foz.toml:3: channels.c.consumers: order = \"client\" needs \"single_active\"; leave it out"}));

TEST(configuration, a_broken_file_names_the_line) {
    EXPECT_THAT(read("[limits]\nqueue_bytes = \n").problems, ElementsAre(HasSubstr("foz.toml:2: ")));
    EXPECT_THAT(read("[channels.chat]\n[channels.voice]\n[channels.chat]\n").problems,
                ElementsAre(testing::AllOf(HasSubstr("foz.toml:3: "), HasSubstr("chat"))));
    configuration_reader reader;
    reader.read_file("/nowhere/foz.toml");
    reader.read_file("/");
    EXPECT_THAT(reader.problems(), ElementsAre("/nowhere/foz.toml: can't be read", "/: can't be read: it is a folder"));
}

TEST(configuration, all_problems_are_told) {
    EXPECT_THAT(read("[log]\nlevel = 1\nformat = 2\n").problems.size(), 2);
}

TEST(configuration, a_wrong_url_is_told_without_its_password) {
    const auto problems = read("[broker]\nurls = [\"amqp://me:secret@pass@h\"]\n").problems;
    ASSERT_EQ(problems.size(), 1);
    EXPECT_THAT(problems[0], HasSubstr("foz.toml:2: broker.urls: "));
    EXPECT_THAT(problems[0], testing::Not(HasSubstr("secret")));
}

TEST(configuration, without_anything_the_defaults_hold) {
    const outcome made = read("");
    EXPECT_THAT(made.problems, IsEmpty());
    EXPECT_EQ(made.all.server.channels.size(), 3);
    EXPECT_EQ(made.all.server.listen_port, 8080);
    ASSERT_EQ(made.all.server.consume_urls.size(), 1);
    EXPECT_EQ(made.all.server.consume_urls[0].host, "127.0.0.1");
}

TEST(configuration, a_file_says_all_of_it) {
    const outcome made = read(R"(
        threads = 2
        [listen]
        address = "::1"
        port = 0
        share_port = true
        [broker]
        urls = ["amqp://a", "amqp://b"]
        publish_urls = "amqp://c"
        [client]
        ping_interval_ms = 500
        [channels.my-chat]
        order = "client"
        groups = "service"
        redeliver = 3
        retention_hours = 2
        retention_bytes = 1000
        [channels.signals]
        delivery = "volatile"
        redeliver = "never"
        not_json = "base64"
        volatile_max_length = 7
        presence = true
        no_service_after_ms = 0
        [channels.jobs]
        redeliver = "unlimited")");
    ASSERT_THAT(made.problems, IsEmpty());
    const auto& server = made.all.server;
    EXPECT_EQ(made.all.threads, 2);
    EXPECT_EQ(server.listen_address, "::1");
    EXPECT_EQ(server.listen_port, 0);
    EXPECT_TRUE(server.share_port);
    EXPECT_EQ(server.consume_urls.size(), 2);
    ASSERT_EQ(server.publish_urls.size(), 1);
    EXPECT_EQ(server.publish_urls[0].host, "c");
    EXPECT_EQ(server.ping_interval, std::chrono::milliseconds(500));
    ASSERT_EQ(server.channels.size(), 3);
    const auto& chat = server.channels[0];
    EXPECT_EQ(chat.name, "my-chat");
    EXPECT_TRUE(chat.single_active());
    EXPECT_EQ(chat.groups, contract::groups_kind::service);
    EXPECT_EQ(chat.delivery_limit, 3);
    EXPECT_EQ(chat.retention_age, std::chrono::hours(2));
    EXPECT_EQ(chat.retention_bytes, 1000);
    const auto& signals = server.channels[1];
    EXPECT_EQ(signals.delivery, contract::delivery_kind::volatile_);
    EXPECT_EQ(signals.delivery_limit, 0);
    EXPECT_EQ(signals.not_json, contract::not_json_kind::base64);
    EXPECT_EQ(signals.volatile_max_length, 7);
    EXPECT_TRUE(signals.presence);
    EXPECT_EQ(signals.no_service_after.count(), 0);
    EXPECT_EQ(server.channels[2].delivery_limit, -1);
}

TEST(configuration, variables_are_stronger_than_the_file_and_flags_than_variables) {
    configuration_reader reader;
    reader.read_file(file_of("[listen]\nport = 1\naddress = \"::1\"\n[client]\nping_interval_ms = 1000\n"));
    const variables environment{"FOZ_LISTEN=127.0.0.1:2",
                                "FOZ_LISTEN_PORT=3",
                                "FOZ_BROKER=amqp://a,amqp://b amqp://c",
                                "FOZ_CHANNELS_CHAT_REDELIVER=never",
                                "FOZ_CLIENT_PING_INTERVAL_MS=2000",
                                "PATH=x"};
    reader.read_variables(environment);
    for (const key& one : keys())
        if (one.flag == "--ping-interval") reader.read_flag(one, {"3000"});
    const configuration all = reader.finish();
    ASSERT_THAT(reader.problems(), IsEmpty());
    EXPECT_THAT(reader.warnings(), IsEmpty());
    EXPECT_EQ(all.server.listen_address, "127.0.0.1");
    EXPECT_EQ(all.server.listen_port, 3);
    EXPECT_EQ(all.server.consume_urls.size(), 3);
    EXPECT_EQ(all.server.channels[1].delivery_limit, 0);
    EXPECT_EQ(all.server.ping_interval, std::chrono::seconds(3));
    EXPECT_EQ(reader.origin("listen.address"), "FOZ_LISTEN");
    EXPECT_EQ(reader.origin("listen.port"), "FOZ_LISTEN_PORT");
    EXPECT_EQ(reader.origin("client.ping_interval_ms"), "--ping-interval");
}

TEST(configuration, whoever_may_come_in_is_asked_on_a_channel_that_no_client_can_fill) {
    const std::string open = "[connect_service]\nchannel = \"door\"\n[channels.chat]\n[channels.door]\n";
    EXPECT_THAT(read(open).problems, IsEmpty());
    EXPECT_THAT(read(open).warnings,
                ElementsAre("foz.toml:2: connect_service.channel: what clients send on channel door delays the "
                            "questions who may come in; give these a channel of their own, with may_publish = [] and "
                            "may_request = []"));
    EXPECT_THAT(read(open + "may_publish = []\n").warnings, testing::SizeIs(1));
    EXPECT_THAT(read(open + "may_publish = []\nmay_request = []\n").warnings, IsEmpty());
}

TEST(configuration, wrong_variables_and_flags_are_named) {
    const variables wrong{"FOZ_LISTEN_PORT=80000", "FOZ_CHANNELS_CHTA_ORDER=client", "FOZ_LOG_LEVEL=loud",
                          "FOZ_LISTEN_ALLOW_ANONYMOUS=perhaps", "FOZ_THREADS=99999999999999999999"};
    EXPECT_THAT(read("", wrong).problems,
                ElementsAre("FOZ_THREADS: 0 to 256 expected, not 99999999999999999999",
                            "FOZ_LISTEN_PORT: 0 to 65535 expected, not 80000",
                            "FOZ_LISTEN_ALLOW_ANONYMOUS: true or false expected, not perhaps",
                            "FOZ_LOG_LEVEL: \"debug\", \"info\", \"error\" or \"warning\" expected, not \"loud\"",
                            "FOZ_CHANNELS_CHTA_ORDER: no such channel or key; did you mean FOZ_CHANNELS_CHAT_ORDER?"));
    EXPECT_THAT(read("", {"FOZ_LISTN=1", "FOZ_SERVICE_HOST=10.0.0.1"}).warnings,
                ElementsAre("FOZ_LISTN: no such variable; did you mean FOZ_LISTEN?"));
    configuration_reader reader;
    for (const key& one : keys())
        if (one.flag == "--listen") reader.read_flag(one, {"nonsense"});
    EXPECT_THAT(reader.problems(), ElementsAre("--listen: ADDRESS:PORT is expected, not nonsense"));
    EXPECT_TRUE(reader.flag_is_wrong());
}

TEST(configuration, what_is_shown_can_be_read_again_and_has_no_password) {
    configuration_reader reader;
    reader.read_file(
        file_of("[broker]\nurls = [\"amqp://me:secret@h\"]\n[channels.a]\nredeliver = \"never\"\n"
                "[channels.b]\ndelivery = \"volatile\"\n"));
    const std::string shown = show(reader.finish(), reader);
    EXPECT_THAT(shown, HasSubstr("urls = [\"amqp://me:***@h:5672/%2f\"]  # foz.toml:2"));
    EXPECT_THAT(shown, HasSubstr("redeliver = \"never\"  # foz.toml:4"));
    EXPECT_THAT(shown, testing::Not(HasSubstr("secret")));
    const outcome again = read(shown);
    EXPECT_THAT(again.problems, IsEmpty());
    EXPECT_EQ(again.all.server.channels.size(), 2);
}

TEST(configuration, every_key_is_documented) {
    const std::string page = describe_keys();
    for (const key& one : keys()) {
        EXPECT_THAT(page, HasSubstr("`" + one.variable + "`"));
        EXPECT_FALSE(one.help.empty()) << one.path();
    }
}

TEST(nearest, counts_edits_and_swaps) {
    EXPECT_EQ(edit_distance("", "abc"), 3);
    EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
    EXPECT_EQ(edit_distance("conusme", "consume"), 1);
    EXPECT_EQ(edit_distance("same", "same"), 0);
    EXPECT_THAT(nearest_first("b", {"ccc", "ab", "b"}), ElementsAre("b", "ab", "ccc"));
}

}  // namespace
TEST(configuration, nothing_secret_lies_in_the_web_folder) {
    namespace fs = std::filesystem;
    const auto problems = [](const std::string& rest) {
        file_of("");
        fs::create_directories("site/sub");
        fs::create_directories("site-data");
        fs::remove("link");
        fs::create_directory_symlink("site", "link");
        std::ofstream("site/key.pem") << "key";
        std::ofstream("cert.pem") << "certificate";
        return read("[web]\nfolder = \"site\"\n" + rest).problems;
    };
    EXPECT_THAT(problems(""), IsEmpty());
    EXPECT_THAT(problems("[embedded]\ndata = \"site-data\"\n"), IsEmpty());
    for (const char* data : {"site", "site/", "site/sub/new", "./site/../site/x", "link/data"})
        EXPECT_THAT(problems("[embedded]\ndata = \"" + std::string(data) + "\"\n"),
                    ElementsAre(HasSubstr("web.folder: the data of embedded.data")))
            << data;
    // Another broker's data are nobody's here.
    EXPECT_THAT(problems("[broker]\nurls = [\"amqp://h\"]\n[embedded]\ndata = \"site\"\n"), IsEmpty());
    EXPECT_THAT(problems("[listen]\ntls_certificate = \"cert.pem\"\ntls_key = \"site/key.pem\"\n"),
                ElementsAre(HasSubstr("the key of listen.tls_key")));
}

}  // namespace foz::ops
