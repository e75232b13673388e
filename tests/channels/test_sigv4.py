"""Our signatures are Amazon's: the same as its own library makes, for any request."""

from __future__ import annotations

from datetime import UTC, datetime

import botocore.auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr
from yarl import URL

from overture_channels.sigv4 import Signer

KEY_ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
SEGMENT = st.text(max_size=8).map(lambda text: URL.build(path=f"/{text}").raw_path) | st.sampled_from(["/.", "/.."])
PAIRS = st.lists(st.tuples(st.text(max_size=6), st.text(max_size=6)), max_size=4)
NAMES = st.from_regex(r"X-[A-Za-z]{1,8}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


def theirs(method: str, url: str, body: bytes, headers: dict[str, str], at: datetime, token: str | None) -> str:
    """What botocore puts into ``Authorization``, of a request that has its time and token already."""
    request = AWSRequest(method=method, url=url, data=body, headers=headers)
    request.context["timestamp"] = at.strftime(botocore.auth.SIGV4_TIMESTAMP)
    signer = botocore.auth.SigV4Auth(Credentials(KEY_ID, SECRET, token), "ses", "eu-west-1")
    told = signer.string_to_sign(request, signer.canonical_request(request))
    by = [
        f"Credential={signer.scope(request)}",
        f"SignedHeaders={signer.signed_headers(signer.headers_to_sign(request))}",
    ]
    return f"AWS4-HMAC-SHA256 {', '.join(by)}, Signature={signer.signature(told, request)}"


@settings(max_examples=300)
@given(
    st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    st.lists(SEGMENT, max_size=4),
    PAIRS,
    st.binary(max_size=50),
    st.dictionaries(NAMES, VALUES, max_size=4).filter(lambda named: len({n.lower() for n in named}) == len(named)),
    st.integers(1_500_000_000, 2_500_000_000),
    st.sampled_from(["https://email.eu-west-1.amazonaws.com", "http://127.0.0.1:5001", "https://[::1]:8443"]),
    st.sampled_from([None, "FQoDYXdzEXAMPLE=="]),
)
def test_the_same_as_botocore(
    method: str, path: list[str], query: list[tuple[str, str]], body: bytes, headers: dict[str, str], second: int,
    base: str, token: str | None,
) -> None:  # fmt: skip
    asked = str(URL.build(path="/", query=query).raw_query_string)
    url = URL(f"{base}{''.join(path) or '/'}{'?' if asked else ''}{asked}", encoded=True)
    signer = Signer(KEY_ID, SecretStr(SECRET), "eu-west-1", "ses", SecretStr(token) if token else None)
    signed = signer.signed(method, url, body, headers, second * 1000 + 999)
    sent = {name: value for name, value in signed.items() if name != "Authorization"}
    assert signed["Authorization"] == theirs(method, str(url), body, sent, datetime.fromtimestamp(second, UTC), token)
    assert signed.get("X-Amz-Security-Token") == token
    assert SECRET not in str(signed)


def test_a_request_of_the_documentation() -> None:
    """From the signature's test suite: ``get-vanilla``."""
    signer = Signer("AKIDEXAMPLE", SecretStr("wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"), "us-east-1", "service")
    signed = signer.signed("GET", URL("https://example.amazonaws.com/"), b"", {}, 1_440_938_160_000)
    assert signed["X-Amz-Date"] == "20150830T123600Z"
    assert signed["Authorization"].endswith(
        "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"
    )
