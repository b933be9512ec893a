from pathlib import Path

import pytest

from deploy.settings import Settings


def test_options_win_over_variables_and_variables_over_defaults() -> None:
    environment = {"STREAMLENS_KAFKA_PORT": "19092", "STREAMLENS_SERVICE_PORT": "18080"}
    settings = Settings.parse(["--kafka_port=29092"], environment)
    assert settings.kafka == "127.0.0.1:29092"
    assert settings.service_url == "http://127.0.0.1:18080"
    assert settings.redis_url == "redis://127.0.0.1:6380/0"


def test_paths_are_paths() -> None:
    assert Settings.parse(["--run_dir=/tmp/x"], {}).logs == Path("/tmp/x/logs")


def test_a_bad_variable_is_a_clear_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        Settings.parse([], {"STREAMLENS_KAFKA_PORT": "many"})
    assert "--kafka_port: invalid int value: 'many'" in capsys.readouterr().err
