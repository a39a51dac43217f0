"""Makes of codes.json what others need: the C++ enum, the TypeScript types, the documentation.

    generate.py cpp|ts|md           prints one of them
    generate.py check PROJECT_ROOT  exits with 1 when a committed file is not what would be printed
"""
import json
import pathlib
import sys

TABLE = json.loads((pathlib.Path(__file__).parent / "codes.json").read_text())
COMMITTED = {"docs/errors.md": "md", "clients/js/codes.d.ts": "ts"}


def yes(value):
    return "yes" if value else "no"


def cpp():
    errors = TABLE["errors"]
    lines = ["// Generated from spec/codes.json.", "#pragma once", "", "#include <cstdint>", "#include <optional>",
             "#include <string_view>", "", "namespace foz::spec {", "",
             "// Codes of errors as clients see them.", "enum class error_code : std::uint8_t {"]
    lines += [f"    {e['code']}," for e in errors]
    lines += ["};", "", "struct error_info {", "    std::string_view name;", "    bool retryable;", "};", "",
              "// In the order of the enum.", "inline constexpr error_info errors[] = {"]
    lines += [f"    {{\"{e['code']}\", {'true' if e['retryable'] else 'false'}}}," for e in errors]
    lines += ["};", "",
              "constexpr std::string_view to_string(error_code code) noexcept {",
              "    return errors[static_cast<std::uint8_t>(code)].name;", "}",
              "// Sending the same again may help.",
              "constexpr bool retryable(error_code code) noexcept {",
              "    return errors[static_cast<std::uint8_t>(code)].retryable;", "}",
              "constexpr std::optional<error_code> parse_error_code(std::string_view name) noexcept {",
              "    for (std::uint8_t i = 0; i < sizeof errors / sizeof errors[0]; ++i)",
              "        if (errors[i].name == name) return static_cast<error_code>(i);",
              "    return std::nullopt;", "}", "", "// WebSocket close codes that have a meaning of ours."]
    lines += [f"inline constexpr std::uint16_t close_{c['name']} = {c['code']};" for c in TABLE["closes"]]
    lines += ["", "}  // namespace foz::spec"]
    return lines


def ts():
    def union(name, words, about):
        return [f"/** {about} */", f"export type {name} ="] + [f"  | {w}" for w in words[:-1]] + [f"  | {words[-1]};"]

    lines = ["// Generated from spec/codes.json.", ""]
    lines += union("FozErrorCode", [f"'{e['code']}'" for e in TABLE["errors"]], "error.code of an error event.")
    lines += ["", "export interface FozError {", "  code: FozErrorCode;", "  message: string;",
              "  /** Sending the same again may help. */", "  retryable: boolean;", "  retry_after_ms?: number;",
              "  field?: string;", "  id?: string;", "  frame?: number;",
              "  /** code is 'service': the service's own code and words. */", "  service_code?: string;",
              "  service?: unknown;", "}", ""]
    lines += union("FozCloseCode", [str(c["code"]) for c in TABLE["closes"]], "Codes with which a socket closes.")
    back = ", ".join(str(c["code"]) for c in TABLE["closes"] if c["come_back"])
    lines += ["", "/** Close codes after which a client comes back. */", f"export type FozComeBack = {back.replace(', ', ' | ')};"]
    return lines


def md():
    lines = ["# Errors", "", "Generated from [spec/codes.json](../spec/codes.json); `clients/js/codes.d.ts` has the same for",
             "TypeScript. How errors arrive stands in [protocol.md](protocol.md).", "",
             "## Errors in a frame", "",
             "`{\"event\":\"error\",\"error\":{\"code\",\"message\",\"retryable\",\"field\",\"id\",\"frame\"}}`: the socket goes on.", "",
             "| code | try again | meaning |", "|---|---|---|"]
    lines += [f"| `{e['code']}` | {yes(e['retryable'])} | {e['text']} |" for e in TABLE["errors"]]
    lines += ["", "## Close codes", "",
              "The string `primus::server::close` before a close means stay away, whatever the code.", "",
              "| code | name | sent by | come back | meaning |", "|---|---|---|---|---|"]
    lines += [f"| {c['code']} | {c['name']} | {c['by']} | {yes(c['come_back'])} | {c['text']} |" for c in TABLE["closes"]]
    lines += ["", "## Refused handshakes", "", "| status | come back | meaning |", "|---|---|---|"]
    lines += [f"| {h['status']} | {yes(h['come_back'])} | {h['text']} |" for h in TABLE["handshakes"]]
    return lines


def text(kind):
    return "\n".join({"cpp": cpp, "ts": ts, "md": md}[kind]()) + "\n"


def check(root):
    stale = [name for name, kind in COMMITTED.items() if (pathlib.Path(root) / name).read_text() != text(kind)]
    for name in stale:
        print(f"{name} is not what spec/codes.json says: python3 spec/generate.py {COMMITTED[name]} > {name}")
    return 1 if stale else 0


if __name__ == "__main__":
    if sys.argv[1] == "check":
        sys.exit(check(sys.argv[2]))
    sys.stdout.write(text(sys.argv[1]))
