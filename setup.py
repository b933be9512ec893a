"""Packaging for Beam's `--setup_file`: what a remote worker installs to import our modules.

Dependencies are read from requirements/runtime.in, so that there is one list of them.
"""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
PACKAGES = ("events", "transforms", "pipelines", "stores", "serving", "telemetry", "deploy")


def requirements() -> list[str]:
    """The lines of requirements/runtime.in; none in an sdist that does not carry the file."""
    path = HERE / "requirements" / "runtime.in"
    if not path.exists():
        return []
    lines = (line.split("#", 1)[0].strip() for line in path.read_text().splitlines())
    return [line for line in lines if line]


setup(
    name="streamlens",
    version="0.1.0",
    description="Real-time analytics: Apache Beam on Flink, Kafka and Valkey",
    python_requires=">=3.11,<3.12",
    packages=find_packages(
        include=[f"{name}{suffix}" for name in PACKAGES for suffix in ("", ".*")]
    ),
    package_data={
        "serving": ["static/*", "static/**/*"],
        "stores": ["*.lua", "*.sql", "**/*.lua", "**/*.sql"],
        "deploy": ["*/pom.xml", "*/*.xml", "*/resources/*", "*/src/**/*.java"],
    },
    install_requires=requirements(),
)
