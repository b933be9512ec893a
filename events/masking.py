"""Payloads without what they say about people: their shape, so that one can see what was wrong.

The rule is a list of what may stay, not of what must go, for what is personal cannot be listed.
There stay: punctuation, names of fields that are made of WORDS alone, `true`, `false` and `null`
outside of quotes, and the declared types of events. Every other letter becomes `x` or `X`, every
digit `9`, all that is not ASCII `x`, character by character. So an address still looks like one
(`xxx@xxxxxxx.xxx`), and lengths, quotes and brackets stand where they stood.

It works on the text, never on parsed JSON: broken JSON, lines, escapes and percent-codes are
masked like everything else, and nothing can raise. Masking twice changes nothing. Pure.
"""

import codecs
import re
from typing import Final, Literal, NamedTuple

from events import schema

Form = Literal["text", "binary"]

HEAD_BYTES: Final = 16  # of a binary payload

# A name of a field stays when all its words are here: none of them tells anything of a person.
_NAMES: Final = """
    action agent amount app at batch body bot browser card category city client code content
    count country created currency customer data date device duration email end enrichment error
    event events extra first height host id ip item key language last lat level lng location mail
    message method meta metadata mobile name number offset order os page params password path
    payload phone platform position price product project prop properties props purchase quantity
    query rate reason received ref referrer revenue row schema score screen sent session size
    source start state status tags tel time timestamp title token total traits ts type uid unit
    updated uri url user uuid value variant version view width zip
"""
# In sentences of libraries about what they could not read.
_SENTENCES: Final = """
    a an and arrow array as batch be body buffer buffers but by bytes can cannot column compressed
    could data decompress dictionary end error expected failed field file flatbuffer for format
    from found got has header in index invalid ipc is key large length lz4 magic message metadata
    missing negative no not null of offset or out read reading record schema size small stream the
    to too type unexpected utf8 value version was were with
"""

WORDS: Final = frozenset(_NAMES.split())
_SAID: Final = frozenset(_SENTENCES.split())

_TOKENS: Final = re.compile(
    rf"""
    (?P<escape> \\u[0-9a-fA-F]{{4}} | \\["\\/bfnrt] )
    | (?P<kind> "type"\s{{0,9}}:\s{{0,9}}"(?:{"|".join(schema.TYPES)})" )
    | (?P<literal> (?<![\w"'\\%.@+-]) (?:true|false|null) (?![\w"'%.@+-]) )
    | (?P<name> (?<![\w%.@+-]) [A-Za-z][A-Za-z_-]{{0,63}} (?= \\?["']?\s{{0,9}}[:=] ) )
    | (?P<rest> [A-Za-z0-9]+ | [^\x20-\x7e\t\r\n]+ )
    """,
    re.VERBOSE,
)
_RUNS: Final = re.compile(r"[A-Za-z0-9]+|[^\x20-\x7e]+")
_PARTS: Final = re.compile(r"[_-]+|(?<=[a-z])(?=[A-Z])")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_SHAPE: Final = {
    code: "9" if chr(code).isdigit() else "X" if chr(code).isupper() else "x"
    for code in range(128)
    if chr(code).isalnum()
}
# Of a byte what tells the format: its class, but for control characters, punctuation and 0xFF.
_BYTES: Final = bytes(
    ord(_SHAPE[code]) if code in _SHAPE else 0x80 if 0x80 <= code < 0xFF else code
    for code in range(256)
)


class Masked(NamedTuple):
    """What may be kept of a payload. `binary`: the hex of its first bytes."""

    text: str
    form: Form
    truncated: bool


def mask(payload: bytes, cap: int) -> Masked:
    """The first `cap` bytes of a text, masked, or the head of what is none. At most `cap` long."""
    head = payload[:cap]
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head, final=len(head) == len(payload))
    except UnicodeDecodeError:
        text = "\0"
    if _CONTROL.search(text):
        shown = payload[: min(HEAD_BYTES, cap // 2)]
        return Masked(shown.translate(_BYTES).hex(), "binary", len(shown) < len(payload))
    return Masked(_TOKENS.sub(_token, text), "text", len(head) < len(payload))


def sentence(text: str) -> str:
    """What a library says about input, without words that may be the input's."""
    return _RUNS.sub(lambda run: run[0] if run[0].lower() in _SAID else _shape(run[0]), text)


def _token(found: "re.Match[str]") -> str:
    text = found[0]
    match found.lastgroup:
        case "kind" | "literal":
            return text
        case "escape":
            return r"\u9999" if text[1] == "u" else text
        case "name" if all(part.lower() in WORDS for part in _PARTS.split(text)):
            return text
    return _shape(text)


def _shape(text: str) -> str:
    if not text.isascii():
        return "x" * len(text)
    return text.translate(_SHAPE).replace("\x7f", "x")
