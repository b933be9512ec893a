from dataclasses import fields

import pytest

from serving.ingest.settings import HELP, Settings


def test_the_defaults_are_valid():
    assert Settings.parse([]) == Settings()


def test_every_setting_is_documented(capsys):
    assert list(HELP) == [option.name for option in fields(Settings)]
    with pytest.raises(SystemExit) as ended:
        Settings.parse(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"--{option.name}" in shown for option in fields(Settings))


def test_options():
    settings = Settings.parse(
        ["--port", "1", "--geo_database=x.mmdb", "--trusted_proxies=10.0.0.0/8, ::1/128"]
    )
    assert settings.port == 1
    assert str(settings.geo_database) == "x.mmdb"
    assert settings.proxy_networks == ["10.0.0.0/8", "::1/128"]


@pytest.mark.parametrize(
    "option", ["--batch_events=0", "--port=-1", "--trusted_proxies=x", "--linger_ms=soon"]
)
def test_what_makes_no_sense_is_refused(option, capsys):
    with pytest.raises(SystemExit) as ended:
        Settings.parse([option])
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err
