"""Secrets do not come through; ordinary settings do; and a long text takes no longer than its length."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exptrack.capture.redaction import is_secret_name, redact_command, redact_remote, redact_text

S = "s3cr3t/V4l@ue"  # with the characters that end a user name, a host or a word elsewhere
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

SECRET_WORDS = [
    f"PGPASSWORD={S}",
    f"MYSQL_PWD={S}",
    f"DB_PASS={S}",
    f"SSHPASS={S}",
    f"password={S} with; blanks & signs",
    f"--hfToken={S}",
    f"--HFToken={S}",
    f"--wandbApiKey={S}",
    f"--apikey={S}",
    f"--openai-key={S}",
    f"--private_key={S}",
    f"--awsSecretAccessKey={S}",
    f"--password2={S}",
    f"--db-password-prod={S}",
    f"++model.hub.auth_token={S}",
    f"--env=API_TOKEN={S}",
    f"--env=A=B=SECRET={S}",
    f"--build-arg=NPM_TOKEN={S}",
    f"-eHF_TOKEN={S}",
    f"Authorization: Bearer {S}",
    f"Authorization: Basic {S}",
    f"authorization:token {S}",
    f"Proxy-Authorization: Digest a b {S}",
    f"Cookie: a=1; session={S}",
    f"X-Api-Key: {S}",
    f"X-Auth-Token:{S}",
    f"PRIVATE-TOKEN: {S}",
    f'{{"api_key": "{S}"}}',
    f'{{"lr": 0.1, "auth": {{"user": "me", "x": "{S}"}}}}',
    f'{{"secrets": ["a", "{S}"], "lr": 1}}',
    f'{{"password": "quo\\"te{S}"}}',
    f"{{'hfToken': '{S}'}}",
    f'"{{\\"api_key\\": \\"{S}\\"}}"',
    f"{{api_key: {S}, lr: 0.1}}",
    f"postgresql://user:{S}@host/db",
    "postgresql://user:p@s3cr3t/V4l@ue@host/db",
    f"postgresql+psycopg://user:{S}@host:5432/db?sslmode=require",
    f"--dsn=mysql://user:p {S} '\"@host/db",
    f"redis://:{S}@host:6379/0",
    "https://s3cr3tV4lue@github.com/lab/code",
    f"me:{S}@host:lab/x@y",
    f"https://user:{S}@github.com/lab/code",
    f"https://host/path?lr=1&access_token={S}",
    f"https://host/path?X-Amz-Signature={S}",
    f"https://store.blob.core.windows.net/c/x?sv=2022&sig={S}",
    f"Server=db;User=me;Password={S};Database=lab",
    f'Server=db;Pwd="a;b{S}"',
    f"host=db user=me password={S} dbname=lab",
    f"host=db user=me password='a b {S}'",
    f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey={S};EndpointSuffix=y",
    f"jdbc:postgresql://host/db?user=me&password={S}",
    f"jdbc:oracle:thin:me/{S}@host:1521:db",
    f"me:{S}@host:lab/code.git",
    f"mysql -h x && PGPASSWORD={S} psql",
    f"f(password='{S}')",
    f"f(password=b'{S}')",
    f"password => {S}",
    f"KAGGLE_KEY={S}",
    f"jwt={S}",
    f"password[0]={S}",
    f"db[password]={S}",
    f"x=1%26token%3D{S}",
    f"<password>{S}</password>",
    f"Server=db;Password=a\\b{S}",
    f"password := {S}",
    f"os.environ['HF_TOKEN'] = '{S}'",
    f"-----BEGIN RSA PRIVATE KEY-----\n{S}\n-----END RSA PRIVATE KEY-----",
    f"-----BEGIN PRIVATE KEY-----\n{S}",
]
SHAPES = [
    "hf_abcdefghijklmnopqrstuvwxyz",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuv",
    "glpat-abcdefghijklmnopqrst",
    "sk-proj-abcdefghijklmnop0123",
    "sk-ant-api03-abcdefghijklmnop",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "xoxb-123456789012-abcdefghijkl",
    "npm_abcdefghijklmnopqrstuvwxyz0123456789",
    "pypi-AgEIcHlwaS5vcmcCJDU3",
    "sk_live_abcdefghijklmnop",
    "rk_test_abcdefghijklmnop",
    "whsec_abcdefghijklmnopqrst",
    "hvs.abcdefghijklmnopqrst",
    "gsk_abcdefghijklmnopqrst",
    "r8_abcdefghijklmnopqrst",
    "dapi0123456789abcdef0123",
    "dop_v1_0123456789abcdef01",
    "SG.abcdefghijklmnopqr.abcdefghijklmnopqr",
    "AGE-SECRET-KEY-1ABCDEFGHIJKLMNOPQRST",
    "ya29.abcdefghijklmnopqrst",
    "xapp-1-ABCDEFGHIJKL",
    "gho_abcdefghijklmnopqrstuvwxyz",
    "nvapi-abcdefghijklmnopqrstuv",
    JWT,
]
ORDINARY = [
    "lr=0.1",
    "--lr=0.1",
    "tokenizer=bert",
    "max_tokens=100",
    "--max-tokens=100",
    "--key-dim=64",
    "monkey=1",
    "key=value",
    "sort_key=name",
    "primary_key=id",
    "num_keys=8",
    "n_tokens=5",
    "pad_token=<pad>",
    "--eosToken=</s>",
    "loss_per_token=0.3",
    "token_count=7",
    "--token-file=t.txt",
    "password_length=12",
    "secret_size=4",
    "use_auth_token=True",
    "password=none",
    "author=me",
    "authority=x",
    "passes=3",
    "bypass=1",
    "compass=north",
    "forward_pass=2",
    "patience=3",
    "pattern=a*b",
    "path=data/x.npz",
    "signal=1",
    "significance=0.05",
    "secretary=anna",
    "head=8",
    "sig=0.1",
    "pass=2",
    "token=0.5",
    "auth=-1e-3",
    "pat=1",
    "sas=2",
    "SORT_KEY=name",
    "num_key_value_heads=8",
    "max_new_tokens=5",
    "mask_token_id=103",
    "a.token > 5",
    "task-learn-something-long",
    "sk-learn-pipeline-of-some-kind",
    "basic training",
    "Basic knowledge",
    "https://host/path?lr=0.1&max_tokens=5",
    "https://unpkg.com/@scope/package@1.0",
    "http://localhost:8080/@vite/client",
    "http://host/find?email=a@b.org",
    "ssh://git@host/lab/code.git",
    "git@github.com:lab/code.git",
    "s3://bucket/data.npz",
    "me@example.org",
    "python:3.11@sha256:0123abcd",
    "schedule=cosine:0.1@1000",
    '{"lr": 0.1, "tokenizer": "bert", "max_tokens": 5}',
    "d6c3a1f0b2e49c8877665544332211ffeeddccbb",
    "a:b",
    "1e-3",
    "",
]


@pytest.mark.parametrize("word", SECRET_WORDS)
def test_a_word_of_a_command_loses_its_secret(word: str) -> None:
    (kept,) = redact_command([word])
    assert "***" in kept
    for part in ("s3cr3t", "V4l", "ue@"):
        assert part not in kept


@pytest.mark.parametrize("token", SHAPES)
@pytest.mark.parametrize("around", ["{}", "--x={}", "see {}, please", '["{}"]', "a_{}"])
def test_a_known_token_is_known_anywhere(token: str, around: str) -> None:
    text = redact_text(around.format(token))
    assert token[:12] not in text
    assert token[-6:] not in text


@pytest.mark.parametrize("word", ORDINARY)
def test_an_ordinary_word_stays_as_it_is(word: str) -> None:
    assert redact_command(["train.py", word]) == ["train.py", word]
    assert redact_text(word) == word


@pytest.mark.parametrize(
    ("given_words", "kept"),
    [
        ("--token S --lr 0.1", "--token *** --lr 0.1"),
        ("--password S", "--password ***"),
        ("-password S", "-password ***"),
        ("--sig 0.5 --pat 1000 --sas 3 --pass 2", "--sig 0.5 --pat 1000 --sas 3 --pass 2"),
        ("--sig -0.5 --token 1e-4 --auth .5 --pass 128", "--sig -0.5 --token 1e-4 --auth .5 --pass 128"),
        ("--password 1234 --pass 123456 --sig S", "--password *** --pass *** --sig ***"),
        ("redis-cli -a 12", "redis-cli -a ***"),
        ("--hfToken S x", "--hfToken *** x"),
        ("--env API_TOKEN=S x", "--env API_TOKEN=*** x"),
        ("--use-auth-token --lr 1", "--use-auth-token --lr 1"),
        ("--use-auth-token true 5", "--use-auth-token true 5"),
        ("--token-count 5", "--token-count 5"),
        ("--max-tokens 5", "--max-tokens 5"),
        ("-p 8080 -u me", "-p 8080 -u me"),
        ("-- curl -u me:S -p 80", "-- curl -u *** -p 80"),
        ("-- /usr/bin/mysql -pS -h x", "-- /usr/bin/mysql -p*** -h x"),
        ("-- sshpass -p S ssh -p 22", "-- sshpass -p *** ssh -p ***"),
        ("--password= S x", "--password= *** x"),
        ("-H Authorization: Bearer S url", "-H Authorization: *** *** url"),
        ("-H X-Api-Key: S url", "-H X-Api-Key: *** url"),
        ("bearer S url", "bearer *** url"),
        ("lr= 0.1 tokens: 5", "lr= 0.1 tokens: 5"),
        ("db.password=S lr=0.1", "db.password=*** lr=0.1"),
    ],
)
def test_commands_lose_what_follows_an_option_of_secrets(given_words: str, kept: str) -> None:
    assert redact_command(["train.py", *given_words.split()]) == ["train.py", *kept.split()]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("--url=postgresql://u:p@h/db", "--url=postgresql://***@h/db"),
        ("Server=db;Password=x;Database=lab", "Server=db;Password=***;Database=lab"),
        ('{"api_key": "x", "lr": 0.1}', '{"api_key": "***", "lr": 0.1}'),
        ("https://h/p?token=x&lr=1", "https://h/p?token=***&lr=1"),
        ('curl -H "Authorization: Bearer x y" url', 'curl -H "Authorization: ***" url'),
        ("ValueError: bad password=x for lr=0.1", "ValueError: bad password=*** for lr=0.1"),
        ("got https://u:p@h/x and git@h:y", "got https://***@h/x and git@h:y"),
    ],
)
def test_what_is_around_a_secret_stays(text: str, kept: str) -> None:
    assert redact_text(text) == kept


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://me:secret@example.org/lab.git", "https://***@example.org/lab.git"),
        ("https://secret@example.org/lab.git", "https://***@example.org/lab.git"),
        ("https://me:a@b/secret@example.org/lab.git", "https://***@example.org/lab.git"),
        ("https://example.org/lab.git?private_token=secret", "https://example.org/lab.git?private_token=***"),
        ("me:secret@example.org:lab/code.git", "***@example.org:lab/code.git"),
        ("me:a/b@c:secret@example.org:lab/code.git", "***@example.org:lab/code.git"),
        ("secret@example.org:lab/code.git", "***@example.org:lab/code.git"),
        ("git@github.com:lab/code.git", "git@github.com:lab/code.git"),
        ("ssh://git@github.com:22/lab/code.git", "ssh://git@github.com:22/lab/code.git"),
        ("ssh://me@host/lab/code.git", "ssh://***@host/lab/code.git"),
        ("../code.git", "../code.git"),
    ],
)
def test_remotes_lose_their_credentials(url: str, kept: str) -> None:
    assert redact_remote(url) == kept


@pytest.mark.parametrize(
    "name", ["hfToken", "HF_TOKEN", "token", "x-api-key", "apiKeys", "PGPASSWORD", "userPwd"]
)
def test_secret_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["", "-", "lr", "keyDim", "tokens", "tokenizer", "nToken", "password_file"])
def test_other_names(name: str) -> None:
    assert not is_secret_name(name)


LONG = 200_000


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "piece",
    [
        *(
            "a",
            "a.",
            "a-",
            "a=",
            "=",
            ":",
            " ",
            "/",
            "@",
            "\\",
            '"',
            "'",
            "{",
            "[",
            "\\'",
            "a:b@",
            "a://",
            "://@",
        ),
        *(
            "eyJ",
            "-eyJa",
            "eyJaaaaaaaa.",
            "sk-",
            "-sk-a",
            "xox",
            "token=",
            "token={",
            "token=[",
            'token="',
            "a:",
        ),
        *(
            "bearer ",
            "bearer",
            "Basic  ",
            "token: ",
            "-----BEGIN PRIVATE KEY-----",
            "\n",
            "cookie:",
            "aB",
            "jdbc:",
        ),
        *(
            "jdbc:oracle:thin:",
            "SG.aaaaaaaaaaaaaaaaa.",
            "a%",
            "\udcff",
            "\N{COMBINING ACUTE ACCENT}",
            "hf_",
            "\0",
        ),
        *(
            "token='",
            'token=\\"',
            "token=\\",
            "password",
            "pa-ss.",
            "=>",
            "http://a:b",
            "hooks.slack.com/services/",
        ),
    ],
)
def test_no_pattern_is_quadratic(piece: str) -> None:
    """The quadratic ones took minutes; this ends in well under a second."""
    text = piece * (LONG // len(piece))
    for words in ([text], [f"--x={text}"], [f"x {text}!"]):
        assert len(redact_command(words)) == 1
    redact_remote(text)


@given(st.text(), st.sampled_from(["password={}", "--apiKey={}", "--env=MY_TOKEN={}"]))
def test_whatever_the_value_the_word_hides_it(value: str, form: str) -> None:
    (kept,) = redact_command([form.format(f"canary{value}canary")])
    assert "canary" not in kept


@given(st.lists(st.text()))
def test_redaction_keeps_the_number_of_words_and_is_stable(words: list[str]) -> None:
    once = redact_command(words)
    assert len(once) == len(words)
    assert all(isinstance(word, str) for word in once)
