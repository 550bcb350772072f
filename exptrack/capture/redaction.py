"""Remove secrets from texts: command lines, URLs, headers, JSON, connection strings, well-known tokens.

Invariants:

- A value that looks like a secret becomes ``***``, in doubt too. An ordinary setting (``lr=0.1``,
  ``max_tokens=100``, ``tokenizer=bert``) stays as it is.
- Every pattern takes time linear in the length of the text: repetitions are possessive or bounded, and no start
  is tried twice over the same run of characters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from exptrack.capture.paths import shorten_paths
from exptrack.errors import InvalidValueError
from exptrack.known_secrets import REDACTED, know_secret, mask_secrets

# Patterns are texts and compiled at their first use: compiling all of them at import would cost 10 ms.

# Names: which words name a secret

_CAMEL = r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"
_SPLIT = r"[^A-Za-z0-9]+"
# A secret anywhere in the name, unless the last word says that the value is only about a secret.
_STRONG = r"(?:password|passwd|passphrase|passcode|secrets?)\d*$"
_ABOUT = frozenset(
    "attempts chars count dim dir enabled env exists expiry field file filename folder hint id index kind len"
    " length limit max min mode name num path policy prompt provider required rule rules size strength timeout"
    " ttl type var".split()
)
_LAST = frozenset(
    "auth authorization bearer cookie cookies cred creds credential credentials jwt oauth otp passwords pat"
    " pgpass psk pwd sas sig signature sshpass webhook".split()
)
_KEY_OF = frozenset(
    "access account anthropic api app application auth azure cohere comet crypt decryption deploy encryption"
    " gemini google groq hf hmac huggingface kaggle license login master mistral neptune openai pem"
    " private rsa secret service shared sign signing ssh storage subscription wandb".split()
)
# Environment variables called …_KEY hold secrets, except the keys of a database.
_PLAIN_KEY_OF = frozenset("cache foreign group join partition primary public sort unique".split())
_GLUED_KEY = r"(?:api|access|account|auth|private|secret|encryption|signing|master|ssh)keys?$"
_PASS_OF = frozenset(
    "admin database db ftp http imap ldap login mail mysql pg proxy redis root smtp sql".split()
)
# Before "token": words of language models, whose tokens are pieces of text and no secrets.
_TEXT_TOKEN = frozenset(
    "begin blank bos class cls de decoder each end eos every first image img last mask max min multi n next no"
    " num out pad padding per pre prefix prompt sep separator sink special start stop sub suffix think unk"
    " unknown virtual word".split()
)
_TOKENS_OF = frozenset("access api auth bearer hf id refresh secret security session user".split())
# These names also stand for ordinary numbers, so only a long value is taken for a secret.
_LONG_ONLY = frozenset(["pat", "sas", "sig", "signature"])
# Every secret name contains one of these, so a text without any of them is not searched further.
_STEMS = "pass pwd secret token key auth bearer cookie cred pat psk sas sig jwt oauth otp webhook".split()
_HARMLESS = frozenset(["", "true", "false", "yes", "no", "on", "off", "none", "null", REDACTED])
_NUMBER = r"[-+]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][-+]?\d++)?"
# Numbers that no secret is: too short to be one, or with a fraction or an exponent.
_SETTING = r"[-+]?(?:\d{1,3}|\d{1,9}\.\d{0,20}|\.\d{1,20}|\d{1,3}(?:\.\d{0,20})?[eE][-+]?\d{1,3})"


def is_secret_name(name: str) -> bool:
    """Whether a setting, option, variable or header of this name holds a secret."""
    return _names_secret(name[-200:])


@lru_cache(maxsize=4096)
def _names_secret(name: str) -> bool:
    words = [word.lower() for word in re.split(_SPLIT, re.sub(_CAMEL, " ", name)) if word]
    if len(words) > 1 and words[-1].isdigit():
        words.pop()
    if not words:
        return False
    *before, last = words
    previous = before[-1] if before else ""
    if last not in _ABOUT and any(re.search(_STRONG, word) for word in words):
        return True
    last = last.rstrip("0123456789") or last
    if last in _LAST or re.search(_GLUED_KEY, last):
        return True
    if last in ("key", "keys"):
        return previous in _KEY_OF or (bool(before) and name.isupper() and previous not in _PLAIN_KEY_OF)
    if last == "pass":
        return not previous or previous in _PASS_OF
    if last.endswith("pass") and last[:-4] in _PASS_OF:
        return True
    if last.endswith("token"):
        return (last[:-5] or previous) not in _TEXT_TOKEN
    if last.endswith("tokens"):
        return (last[:-6] or previous) in _TOKENS_OF
    return last.endswith("pwd")


def _may_name_secret(lowered: str) -> bool:
    return any(stem in lowered for stem in _STEMS)


def _is_harmless(name: str, value: str) -> bool:
    """Whether a value under a secret's name is no secret: a switch, a number, or too short for its name."""
    if len(value) < 12 and name.lower() in _LONG_ONLY:
        return True
    return value.lower() in _HARMLESS or re.fullmatch(_SETTING, value) is not None


# Shapes: tokens that are recognised without a name

_SHAPE = (
    r"(?<![A-Za-z0-9])(?:gh[pousr]_\w{16,}+|github_pat_\w{16,}+|gl(?:pat|ptt|dt|rt)-[\w-]{16,}+|hf_\w{16,}+"
    r"|(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{12,}+|AIza[\w-]{30,}+|ya29\.[\w-]{16,}+|xox[a-z]-[\w-]{8,}+|xapp-[\w-]{8,}+"
    r"|npm_\w{30,}+|pypi-[\w-]{16,}+|dop_v1_\w{16,}+|[rs]k_(?:live|test)_\w{8,}+|whsec_\w{16,}+|hvs\.[\w-]{16,}+"
    r"|nvapi-[\w-]{16,}+|gsk_\w{16,}+|r8_\w{16,}+|dapi[0-9a-f]{16,}+|SG\.[\w-]{16,}+\.[\w-]{16,}+"
    r"|AGE-SECRET-KEY-\w{16,}+|(?P<spoken>sk-[\w-]{16,}+)|(?P<jwt>eyJ[\w-]{8,}+(?:\.[\w-]{8,}+(?:\.[\w-]*+)*+)?))"
)
_SHAPE_BEGINNINGS = (
    "ghp_ gho_ ghu_ ghs_ ghr_ github_pat_ glpat- glptt- gldt- glrt- hf_ AKIA ASIA ABIA ACCA AIza ya29. xox"
    " xapp- npm_ pypi- dop_v1_ k_live_ k_test_ whsec_ hvs. nvapi- gsk_ r8_ dapi SG. AGE- sk- eyJ".split()
)
_PEM = r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----"
_SLACK_HOOK = r"(hooks\.slack\.com/(?:services|workflows)/)[\w/]++"
_SPOKEN_AUTH = (
    r"\b((?i:bearer)\s{1,8}(?=[^\s\"']{8})|(?i:basic)\s{1,8}(?=[a-z]{0,64}[A-Z0-9=+/])(?=\S{8}))[^\s\"',;]++"
)


def _remove_shape(match: re.Match[str]) -> str:
    # The pattern also matches runs that are kept: matching each run whole makes the search linear.
    spoken, jwt = match["spoken"], match["jwt"]
    if spoken and not any(char.isdigit() for char in spoken):
        return spoken
    if jwt and "." not in jwt:
        return jwt
    return REDACTED


def _remove_pem(text: str) -> str:
    parts, at = [], 0
    pattern = re.compile(_PEM)
    while (begin := pattern.search(text, at)) is not None:
        parts += [text[at : begin.start()], REDACTED]
        end = text.find("-----END", begin.end())
        stop = -1 if end < 0 else text.find("KEY-----", end)
        at = len(text) if stop < 0 else stop + len("KEY-----")
    return "".join([*parts, text[at:]])


# URLs and remotes

_SCHEME = r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]*+)://([^\s\"<>]*+)"
_WHOLE_URL = r"(?:[-+~]*+[\w.-]++=)*+[A-Za-z][A-Za-z0-9+.-]*+://"
_SCP = r"(?<![^\s\"'=(])[\w.+%-]++:(?!//)[^\s\"']*+"
_SCP_HOST = r"(?!sha\d)[A-Za-z][\w.-]*+[:/]"
_ORACLE = r"\b(jdbc:oracle:[a-z]{1,8}:)[^\s\"'@/]{1,200}/[^\s\"']{1,200}@"
_PORT = r"(?:\[[^\]]*\]|[^:]*):\d{1,5}$"
_WEB = frozenset(["http", "https", "ws", "wss"])
_NO_SECRET_USERS = frozenset(["git", "hg", "svn"])


def _remove_userinfo(scheme: str, rest: str) -> str:
    """Remove user and password from the text after ``://``; the password may contain any character."""
    at = rest.rfind("@")
    if at < 0:
        return rest
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    if "@" not in authority:
        # The @ belongs to a path, or to a password with a slash in it.
        if ":" not in authority or (scheme.lower() in _WEB and re.fullmatch(_PORT, authority)):
            return rest
    elif authority[: authority.rfind("@")] in _NO_SECRET_USERS:
        return rest
    return f"{REDACTED}{rest[at:]}"


def _remove_scp_user(match: re.Match[str]) -> str:
    """Remove user and password from ``user:password@host:path``; keep anything else as it is."""
    run = match[0]
    host = re.compile(_SCP_HOST)
    at = run.rfind("@")
    while at >= 0:
        if host.match(run, at + 1):
            return REDACTED + run[at:]
        at = run.rfind("@", 0, at)
    return run


def _remove_url_secrets(text: str) -> str:
    return re.sub(_SCHEME, lambda m: f"{m[1]}://{_remove_userinfo(m[1], m[2])}", text)


def redact_remote(url: str) -> str:
    """Remove user, password and token from the URL of a repository; the users git, hg and svn stay."""
    scheme, separator, rest = url.partition("://")
    if separator:
        return redact_text(f"{scheme}://{_remove_userinfo(scheme, rest)}")
    user, at, host = url.rpartition("@")
    if at and user not in _NO_SECRET_USERS:
        return redact_text(f"{REDACTED}@{host}")
    return redact_text(url)


# Assignments: NAME=VALUE, NAME: VALUE, "NAME": "VALUE"

_ASSIGNED = (
    r"(?<![\w.-])([\w.-]++(?:\[\w{0,40}\]){0,4})((?:\\*+[\"'])?\]?\s{0,4}"
    r"(?:=>|:=|[=:]|%3[dD]|>(?=[^<>]{1,200}</))\s{0,4}+)"
)
_OPENING = r"[bBrRuUfF]{0,2}(\\*+[\"'])"
_PLAIN = r"(?!\})(?:[^\s;&\"'\\]|\\(?![\"']))++"
_DOUBLE = r'(?s)(?:[^"\\]|\\.)*+'
_SINGLE = r"(?s)(?:[^'\\]|\\.)*+"
_NESTED = r"(?s)[\[\]{}]|\"(?:[^\"\\]|\\.)*+\"|'(?:[^'\\]|\\.)*+'"
_LINE_END = r"[\r\n\"']|$"
_HEADER_NAMES = frozenset(["authorization", "proxy-authorization", "cookie", "set-cookie"])


def _remove_assigned(text: str) -> str:
    parts: list[str] = []
    pattern = re.compile(_ASSIGNED)
    done = at = 0
    while (match := pattern.search(text, at)) is not None:
        at = match.end()
        name = match[1]
        if not is_secret_name(name):
            continue
        begin, end = _value_span(text, at, name)
        if begin == end or _is_harmless(name, text[begin:end]):
            continue
        parts += [text[done:begin], REDACTED]
        done = at = end
    return "".join([*parts, text[done:]]) if parts else text


def _value_span(text: str, at: int, name: str) -> tuple[int, int]:
    opening = re.compile(_OPENING).match(text, at)
    if opening is not None:
        begin, quote = opening.end(), opening[1]
        if len(quote) > 1:  # JSON within JSON: the closing quote has the same number of backslashes
            end = text.find(quote, begin)
            return begin, len(text) if end < 0 else end
        closing = re.compile(_DOUBLE if quote == '"' else _SINGLE).match(text, begin)
        assert closing is not None
        return begin, closing.end()
    if name.lower() in _HEADER_NAMES:
        line = re.compile(_LINE_END).search(text, at)
        return at, line.start() if line else len(text)
    if text[at : at + 1] in ("{", "["):
        return at, _nested_end(text, at)
    plain = re.compile(_PLAIN).match(text, at)
    return at, plain.end() if plain else at


def _nested_end(text: str, at: int) -> int:
    depth = 0
    for match in re.compile(_NESTED).finditer(text, at):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(match[0], 0)
        if depth == 0:
            return match.end()
    return len(text)


def redact_text(text: str) -> str:
    """Remove credentials in URLs, assignments and headers, and well-known tokens, from free text."""
    lowered = text.lower()
    if "://" in text:
        text = _remove_url_secrets(text)
        text = re.sub(_SLACK_HOOK, rf"\1{REDACTED}", text)
    if "@" in text:
        text = re.sub(_ORACLE, rf"\1{REDACTED}@", text)
        text = re.sub(_SCP, _remove_scp_user, text)
    if "-----BEGIN" in text:
        text = _remove_pem(text)
    if any(beginning in text for beginning in _SHAPE_BEGINNINGS):
        text = re.sub(_SHAPE, _remove_shape, text)
    if "bearer" in lowered or "basic" in lowered:
        text = re.sub(_SPOKEN_AUTH, rf"\1{REDACTED}", text)
    return _remove_assigned(text) if _may_name_secret(lowered) else text


# Command lines

_NAME = r"[-+~]*+([\w.-]++)="
_OPTION = r"(?:--?[A-Za-z][\w.-]*+[:=]?|[A-Za-z][\w.-]*+[:=])$"
# Options that take a secret in these programs only; in others -p may be a port and -u a flag.
_SECRET_OPTIONS = {
    "curl": ("-u", "--user", "-U", "--proxy-user"),
    "mongosh": ("-p",),
    "redis-cli": ("-a",),
    "sshpass": ("-p",),
}
_AUTH_SCHEMES = frozenset(["basic", "bearer", "digest", "negotiate", "token"])
_GLUED_OPTIONS = {"mariadb": "-p", "mysql": "-p", "mysqldump": "-p", "mysqladmin": "-p", "sshpass": "-p"}


def _remove_word_secrets(word: str) -> str:
    """Redact one word of a command; the value of a secret extends to the end of the word."""
    if "=" in word and _may_name_secret(word.lower()):
        pattern, at = re.compile(_NAME), 0
        while (match := pattern.match(word, at)) is not None:
            at = match.end()
            if is_secret_name(match[1]):
                return word if _is_harmless(match[1], word[at:]) else word[:at] + REDACTED
    url = re.match(_WHOLE_URL, word) if "://" in word else None
    if url is not None:
        head = word[: url.end()]
        word = head + _remove_userinfo(head[:-3].rpartition("=")[2], word[url.end() :])
    return redact_text(word)


def _is_secret_option(word: str) -> bool:
    """Whether the word after this one is a secret, as after ``--token``, ``--token=`` and ``X-Api-Key:``."""
    if (not word.startswith("-") and not word.endswith((":", "="))) or not _may_name_secret(word.lower()):
        return False
    return re.match(_OPTION, word) is not None and is_secret_name(word)


def redact_command(argv: Sequence[str]) -> list[str]:
    """Remove secrets from the words of a command line."""
    result: list[str] = []
    hide_next = False
    name = ""  # of the option whose value is the next word
    options: tuple[str, ...] = ()
    glued = ""
    for word in argv:
        # As a word of its own, a short text under a name in doubt is hidden; a number is not.
        is_number = name and re.fullmatch(_NUMBER, word) is not None and _is_harmless(name, word)
        is_harmless = is_number or word.lower() in _HARMLESS
        if hide_next and not word.startswith("--") and not is_harmless:
            result.append(REDACTED)
            hide_next = word.lower() in _AUTH_SCHEMES
            continue
        program = word.rpartition("/")[2]
        options = _SECRET_OPTIONS.get(program, options)
        glued = _GLUED_OPTIONS.get(program, glued)
        name = word.strip("-:=") if _is_secret_option(word) else ""
        hide_next = word in options or word.lower() == "bearer" or bool(name)
        if glued and word.startswith(glued) and len(word) > len(glued):
            result.append(glued + REDACTED)
        else:
            result.append(_remove_word_secrets(word))
    return result


def know_secrets_of_command(argv: Sequence[str]) -> list[str]:
    """Remove secrets from the words of a command line, and hide them in every other text from now on."""
    hidden = redact_command(argv)
    for word, shown in zip(argv, hidden, strict=True):
        if word != shown:
            know_secret(word, shown)
            # Of NAME=VALUE, the value alone stands in a config.
            name = word[: word.find("=") + 1]
            begin = len(name) if name and shown.startswith(name) else 0
            know_secret(word[begin:], shown[begin:])
    return hidden


def remove_secrets(text: str) -> str:
    """Remove the secrets that are known, then all that look like one."""
    # The known ones first: redaction may change a part of one, and then it would not be found.
    return redact_text(mask_secrets(text))


def remove_secrets_and_paths(text: str) -> str:
    """Make a message, traceback or setting fit to record: no secrets, no paths of this machine, UTF-8."""
    return escape_surrogates(shorten_paths(remove_secrets(text)))


def remove_secrets_of_name(name: str) -> str:
    """Remove known secrets from a name by which things are looked up: of a metric, of an artifact.

    Here only what is called a secret is one. The value of ``${env:MODEL}`` stays, as many names contain it.
    """
    return mask_secrets(name, _is_called_secret)


def require_no_secret(text: str, what: str) -> None:
    """Refuse a text that a search needs as it is, if it contains what is called a secret.

    Raises:
        InvalidValueError: it does.
    """
    if remove_secrets_of_name(text) != text:
        raise InvalidValueError(f"{what} {text!r} contains a secret, which would be stored; give another")


def _is_called_secret(shown: str) -> bool:
    return REDACTED in shown or is_secret_name(shown)


def escape_surrogates(text: str) -> str:
    """Write lone surrogates, which UTF-8 does not have, as ``\\udc80`` and the like."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
