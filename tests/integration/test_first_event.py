"""From an empty dashboard to the first event, over the whole product, by the snippet it shows."""

import subprocess
from pathlib import Path

import pytest

from scripts.browser import browser
from tests.integration.stack import running

pytestmark = [pytest.mark.integration, pytest.mark.slow]


@pytest.mark.timeout(420)
def test_the_first_event_is_seen_with_what_became_of_it_and_is_counted(tmp_path: Path) -> None:
    with running(tmp_path) as stack, browser() as page:
        page.open(f"http://127.0.0.1:{stack.settings.service_port}/")
        page.wait("document.querySelector('#first')?.checkVisibility()")
        page.click("#first .segments button:nth-child(2)")
        snippet = page.text("#snippet")
        assert str(stack.settings.collector_port) in snippet

        wrong = snippet.replace('"user_id":"me",', "")
        subprocess.run(["bash", "-c", wrong], check=True, capture_output=True, timeout=60)
        result = "document.querySelector('#first .result').textContent"
        page.wait(f"{result}.startsWith('✕')")
        assert "event_field_missing" in page.text("#first .result")

        bot = snippet.replace("Mozilla/5.0 (X11; Linux x86_64)", "curl/8")
        subprocess.run(["bash", "-c", bot], check=True, capture_output=True, timeout=60)
        page.wait(f"{result}.includes('of a bot')")

        subprocess.run(["bash", "-c", snippet], check=True, capture_output=True, timeout=60)
        page.wait(f"{result}.startsWith('✓ A page_view was accepted')")
        page.wait("document.querySelector('#dashboard').checkVisibility()", 60)
        page.wait("document.querySelector('#tile-users .figure').textContent === '1'", 60)
        page.wait("document.querySelector('#feed li')?.textContent.includes('page view')")
        page.click("#feed .segments button:nth-child(2)")
        page.wait("document.querySelector('#feed li.rejected') !== null")
        # Pages come from the raw events; this one has none.
        page.wait("document.querySelector('#top-page .nothing').textContent.includes('No pages')")
        assert not [each for each in page.problems if "Failed to load" not in each]
