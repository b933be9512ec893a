"""The built files, from memory."""

import gzip
from pathlib import Path

import flask
import pytest

from serving.assets import Assets
from serving.ingest.errors import RequestError

LONG = "let word = 1;\n" * 200


@pytest.fixture
def assets(tmp_path: Path) -> Assets:
    (tmp_path / "secret.py").write_text("x")
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>")
    (folder / "streamlens.js").write_text(LONG)
    (folder / "assets" / "app-1a2b.js").write_text(LONG)
    (folder / "mark.svg").write_text("<svg/>")
    return Assets(folder)


def ask(assets: Assets, name: str, **headers: str) -> flask.Response:
    said = {key.replace("_", "-"): value for key, value in headers.items()}
    with flask.Flask("x").test_request_context("/", headers=said):
        return assets.answer(name)


def test_text_is_sent_as_gzip_to_those_who_take_it(assets: Assets) -> None:
    for name in ("streamlens.js", "assets/app-1a2b.js"):
        plain, packed = ask(assets, name), ask(assets, name, Accept_Encoding="br, gzip")
        assert plain.get_data(as_text=True) == LONG
        assert gzip.decompress(packed.get_data()).decode() == LONG
        assert len(packed.get_data()) < len(LONG) / 5
        assert (plain.headers.get("Content-Encoding"), packed.headers["Content-Encoding"]) == (
            None, "gzip"
        )  # fmt: skip
        assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
        assert plain.content_type == "text/javascript; charset=utf-8"
        refused = ask(assets, name, Accept_Encoding="gzip;q=0")
        assert "Content-Encoding" not in refused.headers
    assert ask(assets, "index.html", Accept_Encoding="gzip").get_data() == b"<!doctype html>"


def test_what_is_known_is_not_sent_again(assets: Assets) -> None:
    first = ask(assets, "index.html")
    again = ask(assets, "index.html", If_None_Match=first.headers["ETag"])
    assert again.status_code == 304
    assert ask(assets, "index.html", If_None_Match='"other"').status_code == 200


def test_how_long_browsers_keep_each(assets: Assets) -> None:
    kept = {name: ask(assets, name).headers["Cache-Control"] for name in ("index.html", "mark.svg")}
    assert set(kept.values()) == {"no-cache"}
    assert "immutable" in ask(assets, "assets/app-1a2b.js").headers["Cache-Control"]
    script = ask(assets, "streamlens.js")
    assert script.headers["Cache-Control"] == "public, max-age=3600"
    assert script.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


@pytest.mark.parametrize("name", ["", ".", "../secret.py", "assets", "assets/", "/etc/passwd"])
def test_nothing_else_is_there(assets: Assets, name: str) -> None:
    with pytest.raises(RequestError) as refused:
        ask(assets, name)
    assert (refused.value.code, refused.value.detail) == ("not_found", "")


def test_before_it_is_built_it_says_how(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="not_found") as refused:
        ask(Assets(tmp_path / "none"), "index.html")
    assert "make web" in refused.value.message
