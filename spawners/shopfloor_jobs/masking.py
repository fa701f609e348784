"""Takes what looks like a secret out of a text before other eyes see it: log tails, help bundles."""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "…"

# Every repetition is bounded: whoever writes a log must not choose how long the hub, which masks it, stands still.
_PART = r"[\w.-]{0,40}"
_GAP = r"\s{0,8}"
# Names whose value is secret however short, and names whose value is only when it is long: a log that
# counts tokens or files under keys is no secret.
_ALWAYS = r"pass(?:word|wd|phrase)|passwd|pwd|secret|credential|nonce"
_LONG = r"token|api[_-]?key|access[_-]?key|private[_-]?key|account[_-]?key|xsrf|session[_-]?id|auth"

# Where a word begins; in JSON, what stands before it at the beginning of a line is a backslash and an n.
_BEGIN = r"(?:(?<![\w/-])|(?<=\\[nrt]))"

_PATTERNS = (
    # Whole blocks and header lines first: what follows would leave parts of them.
    (
        re.compile(
            r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----).*?(?:(-----END [A-Z ]{0,40}PRIVATE KEY-----)|\Z)",
            re.S,
        ),
        rf"\1{MASK}\2",
    ),
    (
        re.compile(
            rf"""(?im)(\b(?:proxy-)?(?:authorization|(?:set-)?cookie)\b["']?{_GAP}[:=]{_GAP})[^\n]+"""
        ),
        rf"\1{MASK}",
    ),
    # https://person:password@host
    (
        re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s/:@]{0,100}):[^\s/@]{1,200}@", re.I),
        rf"\1:{MASK}@",
    ),
    # password=…, "secret": "…", --api-key …
    (
        re.compile(
            rf"""(?i)(\b{_PART}?(?:{_ALWAYS}){_PART}["']?{_GAP}(?:[:=]>?|\s--?\s){_GAP})"""
            # In JSON a line of a log ends with a backslash and an n.
            r"""("[^"\n]*"|'[^'\n]*'|(?:(?!\\n)[^\s"',;&])+)"""
        ),
        rf"\1{MASK}",
    ),
    (
        re.compile(
            rf"""(?i)((?:[?&]|\b|--){_PART}?(?:{_LONG}){_PART}["']?(?:{_GAP}[:=]>?{_GAP}|\s{{1,8}}))"""
            r"""(["']?)(?=[^\s"',;&]{8})(?=[^\s"',;&]{0,300}\d)(?![\d.,]+\b)[^\s"',;&]+"""
        ),
        rf"\1\2{MASK}",
    ),
    # token …, Bearer …
    (
        re.compile(r"(?i)(\b(?:token|bearer|basic)\s{1,8})(?=\S{0,300}\d)[A-Za-z0-9._~+/=-]{12,}"),
        rf"\1{MASK}",
    ),
    # Keys that are known by their form: AWS, GitHub, GitLab, Hugging Face, OpenAI, Slack, JSON web tokens.
    (
        re.compile(
            r"\b(?:(?:AKIA|ASIA)[0-9A-Z]{16}|gh[pousr]_\w{20,}|github_pat_\w{20,}|glpat-[\w-]{20,}"
            r"|hf_[A-Za-z0-9]{20,}|sk-[\w-]{20,}|xox[abprs]-[\w-]{10,}"
            r"|eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*)"
        ),
        MASK,
    ),
    # What JupyterHub, Shopfloor and Jupyter make: 32 hexadecimal digits, or long words of mixed letters and digits.
    (re.compile(rf"(?:{_BEGIN}|(?<=/))[0-9a-f]{{32}}(?![\w-])"), MASK),
    (
        re.compile(
            rf"{_BEGIN}(?=[\w-]{{0,200}}[a-z])(?=[\w-]{{0,200}}[A-Z])(?=(?:[A-Za-z_-]{{0,60}}\d){{3}})"
            r"[\w-]{24,200}(?![\w-])"
        ),
        MASK,
    ),
)


# Colours and the like of a terminal, whose last letter would stand before a word as if it belonged to it.
_TERMINAL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def mask(text: str, known: Iterable[str] = ()) -> str:
    """The text with ``known`` secrets, and all that looks like one, replaced by an ellipsis; colour codes go, too."""
    text = _TERMINAL.sub("", text)
    for secret in known:
        if secret:
            text = text.replace(secret, MASK)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text
