#!/usr/bin/env python3
"""Generates the AMQP 0-9-1 constants, methods and content properties from the official XML.

    generate.py SPEC.xml OUTPUT_FOLDER

writes constants.hpp, methods.hpp, methods.cpp and sample_methods.hpp (for tests) into OUTPUT_FOLDER.
Standard library only; the output depends on nothing but the XML and this file.
"""

import pathlib
import sys
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field

# --- What RabbitMQ speaks and the XML of Debian's amqp-specs lacks -----------------------------------------------

# (class, method, index, synchronous, [(field, type)], [responses]); methods that the XML has already are left alone.
EXTRA_METHODS = [
    # The server stops and resumes reading publishes (connection.blocked capability).
    ("connection", "blocked", 60, False, [("reason", "shortstr")], []),
    ("connection", "unblocked", 61, False, [], []),
    # The client renews an expiring credential without reconnecting (RabbitMQ 3.8 on).
    ("connection", "update-secret", 70, True, [("new-secret", "longstr"), ("reason", "shortstr")], ["update-secret-ok"]),
    ("connection", "update-secret-ok", 71, True, [], []),
]
# (class, method) -> responses that the XML forgets: basic.recover is answered by basic.recover-ok (AMQP 0-9-1 §1.8.3.15).
EXTRA_RESPONSES = {("basic", "recover"): ["recover-ok"]}
# Reply codes in use that the XML lacks: basic.return of an unroutable mandatory message.
EXTRA_CONSTANTS = [("no-route", 312, "soft-error")]
# One spelling for one thing: confirm.select calls it nowait, all others no-wait. The close methods name the method that
# failed; class_id and method_id are a struct's own ids. The last property was cluster-id in 0-9.
FIELD_NAMES = {"nowait": "no-wait", "class-id": "failing-class-id", "method-id": "failing-method-id"}
PROPERTY_NAMES = {"reserved": "cluster-id"}

# --- The model ---------------------------------------------------------------------------------------------------

# Every field has an initialiser, so that designated initialisers may leave any of them out.
CPP_TYPES = {
    "bit": ("bool", " = false"),
    "octet": ("std::uint8_t", " = 0"),
    "short": ("std::uint16_t", " = 0"),
    "long": ("std::uint32_t", " = 0"),
    "longlong": ("std::uint64_t", " = 0"),
    "timestamp": ("std::uint64_t", " = 0"),
    "shortstr": ("std::string", "{}"),
    "longstr": ("std::string", "{}"),
    "table": ("table", "{}"),
}
INTEGER_WIDTHS = {"octet": 8, "short": 16, "long": 32, "longlong": 64, "timestamp": 64}


def snake(name):
    return name.replace("-", "_")


@dataclass
class Field:
    name: str
    type: str
    reserved: bool = False


@dataclass
class Method:
    class_name: str
    class_id: int
    method_name: str
    method_id: int
    synchronous: bool
    has_content: bool
    fields: list = field(default_factory=list)
    responses: list = field(default_factory=list)

    @property
    def struct(self):
        return f"{snake(self.class_name)}_{snake(self.method_name)}"

    @property
    def visible(self):
        return [f for f in self.fields if not f.reserved]


@dataclass
class Spec:
    constants: list
    methods: list
    properties: list


def load(path):
    root = xml.parse(path).getroot()
    version = tuple(root.get(k) for k in ("major", "minor", "revision"))
    if version != ("0", "9", "1"):
        sys.exit(f"{path}: AMQP {'-'.join(map(str, version))}, expected 0-9-1")
    domains = {d.get("name"): d.get("type") for d in root.iter("domain")}

    def read_field(node, names):
        type_name = node.get("type") or domains[node.get("domain")]
        name = names.get(node.get("name"), node.get("name"))
        return Field(snake(name), type_name, node.get("reserved") == "1")

    methods, properties = [], []
    for class_node in root.findall("class"):
        name, index = class_node.get("name"), int(class_node.get("index"))
        own = [read_method(name, index, node, read_field) for node in class_node.findall("method")]
        present = {m.method_name for m in own}
        own += [extra_method(index, e) for e in EXTRA_METHODS if e[0] == name and e[1] not in present]
        methods += sorted(own, key=lambda m: m.method_id)
        if class_node.find("field") is not None:
            if name != "basic":
                sys.exit(f"{path}: class {name} has content properties; only basic may")
            properties = [read_field(node, PROPERTY_NAMES) for node in class_node.findall("field")]
    if not 0 < len(properties) <= 15:
        sys.exit(f"{path}: {len(properties)} content properties, expected 1 to 15")
    return Spec(read_constants(root), methods, properties)


def read_method(class_name, class_id, node, read_field):
    name = node.get("name")
    responses = [r.get("name") for r in node.findall("response")]
    extra = EXTRA_RESPONSES.get((class_name, name), [])
    responses += [r for r in extra if r not in responses]
    return Method(class_name, class_id, name, int(node.get("index")), node.get("synchronous") == "1" or bool(extra),
                  node.get("content") == "1", [read_field(f, FIELD_NAMES) for f in node.findall("field")],
                  [f"{snake(class_name)}_{snake(r)}" for r in responses])


def extra_method(class_id, extra):
    class_name, name, method_id, synchronous, fields, responses = extra
    return Method(class_name, class_id, name, method_id, synchronous, False, [Field(snake(n), t) for n, t in fields],
                  [f"{snake(class_name)}_{snake(r)}" for r in responses])


def read_constants(root):
    constants = [(c.get("name"), int(c.get("value")), c.get("class")) for c in root.iter("constant")]
    present = {value for _, value, _ in constants}
    constants += [c for c in EXTRA_CONSTANTS if c[1] not in present]
    return constants


# --- constants.hpp -----------------------------------------------------------------------------------------------

NOTICE = "// Generated by src/amqp/codec/generate.py from the AMQP 0-9-1 XML. Not to be edited.\n"


def constants_hpp(spec):
    values = {name: value for name, value, _ in spec.constants}
    replies = sorted((c for c in spec.constants if c[2] or c[0] == "reply-success"), key=lambda c: c[1])
    out = [NOTICE, "#pragma once\n", "#include <cstdint>", "#include <string_view>\n", "namespace foz::amqp {\n"]
    out += ["// AMQP 0-9-1 §4.2.3, §2.3.1.", "enum class frame_type : std::uint8_t {"]
    out += [f"    {name} = {values['frame-' + name]}," for name in ("method", "header", "body", "heartbeat")]
    out += ["    // Not a frame: the eight octets that open a connection. 'A' is no frame type, so they can't be confused.",
            "    protocol_header = 'A',", "};\n"]
    out += [f"inline constexpr std::uint32_t frame_min_size = {values['frame-min-size']};",
            f"inline constexpr std::uint8_t frame_end = {values['frame-end']};\n"]
    out += ["// AMQP 0-9-1 §1.1 (reply codes). A peer may send others: any 16-bit value is representable.",
            "enum class reply_code : std::uint16_t {"]
    out += [f"    {snake(name)} = {value}," for name, value, _ in replies]
    out += ["};\n", "// What an error of this code closes. AMQP's soft errors close the channel, hard ones the connection.",
            "enum class error_scope : std::uint8_t { none, channel, connection };\n",
            "// Codes that are not in the specification are treated as hard.",
            "constexpr error_scope scope_of(reply_code code) noexcept {", "    switch (code) {"]
    for kind, scope in ((None, "none"), ("soft-error", "channel")):
        out += [f"        case reply_code::{snake(n)}:" for n, _, k in replies if k == kind]
        out += [f"            return error_scope::{scope};"]
    out += ["        default:", "            return error_scope::connection;", "    }", "}\n"]
    out += ['// "NOT_FOUND" and so on, as RabbitMQ writes them; "UNKNOWN" for other codes.',
            "constexpr std::string_view to_string(reply_code code) noexcept {", "    switch (code) {"]
    for name, _, _ in replies:
        out += [f"        case reply_code::{snake(name)}:", f'            return "{snake(name).upper()}";']
    out += ["    }", '    return "UNKNOWN";', "}\n", "}  // namespace foz::amqp", ""]
    return "\n".join(out)


# --- methods.hpp -------------------------------------------------------------------------------------------------

def struct_lines(method):
    bool_text = {True: "true", False: "false"}
    out = [f"struct {method.struct} {{",
           f"    static constexpr std::uint16_t class_id = {method.class_id};",
           f"    static constexpr std::uint16_t method_id = {method.method_id};",
           f'    static constexpr std::string_view name = "{method.class_name}.{method.method_name}";',
           f"    static constexpr bool synchronous = {bool_text[method.synchronous]};",
           f"    static constexpr bool has_content = {bool_text[method.has_content]};",
           f"    using responses = method_list<{', '.join(method.responses)}>;"]
    if len(method.responses) == 1:
        out += [f"    using response = {method.responses[0]};"]
    if method.visible:
        out += [""]
    for f in method.visible:
        cpp, init = CPP_TYPES[f.type]
        out += [f"    {cpp} {f.name}{init};"]
    out += ["", f"    bool operator==(const {method.struct}&) const = default;", "};\n"]
    return out


def methods_hpp(spec):
    out = [NOTICE, "#pragma once\n", '#include "amqp/codec/constants.hpp"', '#include "amqp/codec/error.hpp"',
           '#include "amqp/codec/field_table.hpp"', '#include "amqp/codec/wire.hpp"\n', "#include <cstdint>",
           "#include <expected>", "#include <optional>", "#include <string>", "#include <string_view>",
           "#include <utility>", "#include <variant>\n", "namespace foz::amqp {\n",
           "// The methods that may answer a method, as types.", "template <class... Methods>",
           "struct method_list {};\n"]
    out += [f"struct {m.struct};" for m in spec.methods] + [""]
    for m in spec.methods:
        out += struct_lines(m)
    names = ",\n    ".join(m.struct for m in spec.methods)
    out += ["// Any method. What copies, moves and destroys one stands in methods.cpp: for so many alternatives it is dear to",
            "// compile, and whoever holds a method would compile it again.", "struct method : std::variant<",
            f"    {names}> {{", "    using alternatives = variant;\n", "    method() noexcept;",
            "    template <class M>", "        requires requires { typename M::responses; }",
            "    method(M m) noexcept : variant(std::in_place_type<M>, std::move(m)) {}", "    method(const method& other);",
            "    method(method&& other) noexcept;", "    method& operator=(const method& other);",
            "    method& operator=(method&& other) noexcept;", "    ~method();", "};\n"]
    out += ["struct method_info {", "    std::uint16_t class_id;", "    std::uint16_t method_id;",
            "    std::string_view name;", "    bool synchronous;", "    bool has_content;", "};\n",
            "const method_info& info(const method& m) noexcept;",
            "// Null for a pair that is not a method.",
            "const method_info* find_method(std::uint16_t class_id, std::uint16_t method_id) noexcept;\n",
            "// Decodes a method frame's payload. `out` keeps its storage when it already holds the same method, so that a",
            "// stream of deliveries allocates nothing for strings that fit. After an error its fields are unspecified.",
            "std::expected<void, wire_error> decode_method(std::string_view payload, method& out);",
            "std::expected<method, wire_error> decode_method(std::string_view payload);\n",
            "// Append one whole method frame. On an error `out` is as before. frame_max counts the whole frame; 0: no limit.",
            "std::expected<void, wire_error> encode_method(std::string& out, std::uint16_t channel, const method& m,",
            "                                              std::uint32_t frame_max = 0);"]
    out += ["std::expected<void, wire_error> encode_method(std::string& out, std::uint16_t channel,"
            f" const {m.struct}& m, std::uint32_t frame_max = 0);" for m in spec.methods]
    out += ["", "// Content properties of class basic (AMQP 0-9-1 §1.8.2). timestamp: seconds since 1970.",
            "struct basic_properties {"]
    out += [f"    std::optional<{CPP_TYPES[p.type][0]}> {p.name}{{}};" for p in spec.properties]
    out += ["", "    bool operator==(const basic_properties&) const = default;", "};\n",
            "// Property flags and values (AMQP 0-9-1 §4.2.6.1); the reader's and the writer's error states tell of failure.",
            "void read_properties(reader& in, basic_properties& out);",
            "void write_properties(writer& out, const basic_properties& in);\n", "}  // namespace foz::amqp", ""]
    return "\n".join(out)


# --- methods.cpp -------------------------------------------------------------------------------------------------

READERS = {"shortstr": "in.short_string({0});", "longstr": "in.long_string({0});", "table": "read_table(in, {0});"}
WRITERS = {"shortstr": "out.short_string({0});", "longstr": "out.long_string({0});", "table": "write_table(out, {0});"}
SKIPPERS = {"shortstr": "in.skip_short_string();", "longstr": "in.skip_long_string();"}
EMPTIES = {"shortstr": "out.u8(0);", "longstr": "out.u32(0);"}


def groups(fields):
    """Consecutive bits share octets (AMQP 0-9-1 §4.2.5.2): yields single fields and lists of at most eight bits."""
    bits = []
    for f in fields:
        if f.type == "bit" and len(bits) < 8:
            bits.append(f)
            continue
        if bits:
            yield bits
            bits = []
        if f.type == "bit":
            bits.append(f)
        else:
            yield f
    if bits:
        yield bits


def read_lines(fields):
    out = []
    for g in groups(fields):
        if isinstance(g, list):
            shown = [(i, f) for i, f in enumerate(g) if not f.reserved]
            if not shown:
                out += ["in.u8();"]
                continue
            bits = "bits" if len(shown) > 1 else "in.u8()"
            if len(shown) > 1:
                out += [f"const std::uint8_t {bits} = in.u8();"]
            out += [f"m.{f.name} = ({bits} & {1 << i}) != 0;" for i, f in shown]
        elif g.type in INTEGER_WIDTHS:
            call = f"in.u{INTEGER_WIDTHS[g.type]}();"
            out += [call if g.reserved else f"m.{g.name} = {call}"]
        else:
            out += [SKIPPERS[g.type] if g.reserved else READERS[g.type].format("m." + g.name)]
    return out


def write_lines(fields):
    out = []
    for g in groups(fields):
        if isinstance(g, list):
            terms = [f"(m.{f.name} ? {1 << i} : 0)" for i, f in enumerate(g) if not f.reserved]
            out += [f"out.u8(static_cast<std::uint8_t>({' | '.join(terms)}));" if terms else "out.u8(0);"]
        elif g.type in INTEGER_WIDTHS:
            out += [f"out.u{INTEGER_WIDTHS[g.type]}({'0' if g.reserved else 'm.' + g.name});"]
        else:
            out += [EMPTIES[g.type] if g.reserved else WRITERS[g.type].format("m." + g.name)]
    return out


def function(signature, body):
    return [signature + " {"] + ["    " + line for line in body] + ["}\n"]


def method_functions(method):
    unused_in, unused_m = ("" if method.fields else "/*in*/"), ("" if method.visible else "/*m*/")
    return (function(f"void read(reader& {unused_in or 'in'}, {method.struct}& {unused_m or 'm'})", read_lines(method.fields)) +
            function(f"void write(writer& {'out' if method.fields else '/*out*/'}, const {method.struct}& {unused_m or 'm'})",
                     write_lines(method.fields)))


def property_functions(properties):
    read = ["const std::uint16_t flags = in.u16();",
            "// Bit 0 would announce another flag word and the others below unknown properties: class basic has neither.",
            f"if ((flags & 0x{(1 << (16 - len(properties))) - 1:x}) != 0) in.fail(wire_error::bad_property_flags);"]
    write = ["std::uint16_t flags = 0;"]
    values = []
    for i, p in enumerate(properties):
        flag = f"0x{1 << (15 - i):x}"
        read += [f"if ((flags & {flag}) != 0) {{"]
        if p.type in INTEGER_WIDTHS:
            read += [f"    p.{p.name} = in.u{INTEGER_WIDTHS[p.type]}();"]
            values += [f"if (p.{p.name}) out.u{INTEGER_WIDTHS[p.type]}(*p.{p.name});"]
        else:
            # The storage of an earlier value is used again.
            read += [f"    if (!p.{p.name}) p.{p.name}.emplace();", "    " + READERS[p.type].format(f"*p.{p.name}")]
            values += [f"if (p.{p.name}) " + WRITERS[p.type].format(f"*p.{p.name}")]
        read += ["} else {", f"    p.{p.name}.reset();", "}"]
        write += [f"if (p.{p.name}) flags |= {flag};"]
    return (function("void read_properties(reader& in, basic_properties& p)", read) +
            function("void write_properties(writer& out, const basic_properties& p)", write + ["out.u16(flags);"] + values))


TEMPLATES = """template <class M>
std::expected<void, wire_error> encode(std::string& octets, std::uint16_t channel, const M& m, std::uint32_t frame_max) {
    writer out(octets);
    out.begin_frame(frame_type::method, channel);
    out.u16(M::class_id);
    out.u16(M::method_id);
    write(out, m);
    out.end_frame(frame_max);
    return out.finish();
}

template <class M>
std::expected<void, wire_error> decode(reader& in, method& out) {
    M* m = std::get_if<M>(&out);
    read(in, m ? *m : out.emplace<M>());
    return in.finish();
}
"""


def methods_cpp(spec):
    out = [NOTICE, '#include "amqp/codec/methods.hpp"\n', "#include <utility>\n", "namespace foz::amqp {\n", "namespace {\n"]
    for m in spec.methods:
        out += method_functions(m)
    out += [TEMPLATES, "constexpr method_info infos[] = {"]
    out += [f"    {{{m.class_id}, {m.method_id}, {m.struct}::name, {m.struct}::synchronous, {m.struct}::has_content}},"
            for m in spec.methods]
    out += ["};\n", "constexpr std::uint32_t key(std::uint32_t class_id, std::uint32_t method_id) noexcept {",
            "    return class_id << 16 | method_id;", "}\n", "}  // namespace\n"]
    out += ["method::method() noexcept = default;", "method::method(const method&) = default;",
            "method::method(method&&) noexcept = default;", "method& method::operator=(const method&) = default;",
            "method& method::operator=(method&&) noexcept = default;", "method::~method() = default;\n"]
    out += ["const method_info& info(const method& m) noexcept {", "    return infos[m.index()];", "}\n",
            "const method_info* find_method(std::uint16_t class_id, std::uint16_t method_id) noexcept {",
            "    switch (key(class_id, method_id)) {"]
    for i, m in enumerate(spec.methods):
        out += [f"        case key({m.class_id}, {m.method_id}):", f"            return &infos[{i}];"]
    out += ["    }", "    return nullptr;", "}\n",
            "std::expected<void, wire_error> decode_method(std::string_view payload, method& out) {",
            "    reader in(payload);", "    const std::uint16_t class_id = in.u16();",
            "    const std::uint16_t method_id = in.u16();", "    if (in.failed()) return in.finish();",
            "    switch (key(class_id, method_id)) {"]
    for m in spec.methods:
        out += [f"        case key({m.class_id}, {m.method_id}):", f"            return decode<{m.struct}>(in, out);"]
    out += ["    }", "    return std::unexpected(wire_error::unknown_method);", "}\n",
            "std::expected<method, wire_error> decode_method(std::string_view payload) {",
            "    std::expected<method, wire_error> out;",
            "    if (const auto done = decode_method(payload, *out); !done) out = std::unexpected(done.error());",
            "    return out;", "}\n"]
    for m in spec.methods:
        out += function("std::expected<void, wire_error> encode_method(std::string& out, std::uint16_t channel,"
                        f" const {m.struct}& m, std::uint32_t frame_max)",
                        ["return encode(out, channel, m, frame_max);"])
    out += function("std::expected<void, wire_error> encode_method(std::string& out, std::uint16_t channel,"
                    " const method& m, std::uint32_t frame_max)",
                    ["return std::visit([&](const auto& one) { return encode(out, channel, one, frame_max); }, m);"])
    out += property_functions(spec.properties) + ["}  // namespace foz::amqp", ""]
    return "\n".join(out)


# --- sample_methods.hpp ------------------------------------------------------------------------------------------

def sample_value(f, number):
    if f.type == "bit":
        return "true"
    if f.type in INTEGER_WIDTHS:
        # The highest bit is set and every octet differs, so that swapped, narrowed or signed fields show.
        octets = INTEGER_WIDTHS[f.type] // 4
        return "0x" + "9182a3b4c5d6e7f8"[:octets]
    if f.type == "table":
        return f'table{{{{"{f.name}", "text"}}, {{"n", {number}}}, {{"inner", table{{{{"deep", true}}}}}}}}'
    return f'"{f.name} {number}"'


def sample_methods_hpp(spec):
    out = [NOTICE, "// For tests: every method once, and all properties, with values that differ from the defaults.",
           "#pragma once\n", '#include "amqp/codec/methods.hpp"\n', "#include <vector>\n", "namespace foz::amqp {\n",
           "inline std::vector<method> sample_methods() {", "    std::vector<method> all;"]
    for number, m in enumerate(spec.methods, 1):
        values = ", ".join(f".{f.name} = {sample_value(f, number)}" for f in m.visible)
        out += [f"    all.emplace_back({m.struct}{{{values}}});"]
    out += ["    return all;", "}\n", "inline basic_properties sample_properties() {", "    basic_properties p;"]
    out += [f"    p.{p.name} = {sample_value(p, i)};" for i, p in enumerate(spec.properties)]
    out += ["    return p;", "}\n", "}  // namespace foz::amqp", ""]
    return "\n".join(out)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    spec = load(sys.argv[1])
    folder = pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in (("constants.hpp", constants_hpp), ("methods.hpp", methods_hpp), ("methods.cpp", methods_cpp),
                       ("sample_methods.hpp", sample_methods_hpp)):
        (folder / name).write_text(make(spec), encoding="utf-8")


if __name__ == "__main__":
    main()
